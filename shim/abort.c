/* SPDX-License-Identifier: MIT */
/* __assert_fail, abort: the way out of a library's failed assertion on the engine's thread (D10,
 * trap.h). */
#include "real.h"
#include "spawn.h"

#include <assert.h>
#include <stdlib.h>

/* libc's, of the assert_perror() macro. */
void __assert_perror_fail(int error, const char *file, unsigned line, const char *function);

static void catch (const char *what)
{
	if (qs_spawn_trap_hook)
		qs_spawn_trap_hook(what);
}

QS_EXPORT void __assert_fail(const char *what, const char *file, unsigned line,
			     const char *function)
{
	catch (what);
	qs_real.assert_fail(what, file, line, function);
}

QS_EXPORT void __assert_perror_fail(int error, const char *file, unsigned line,
				    const char *function)
{
	catch ("assert_perror");
	qs_real.assert_perror_fail(error, file, line, function);
}

QS_EXPORT void abort(void)
{
	catch ("abort");
	qs_real.abort();
}
