/* SPDX-License-Identifier: MIT */
/* prctl: notices a seccomp filter, after which the shim makes no call of its own (R7). */
#include "raw.h"
#include "real.h"
#include "state.h"

#include <stdarg.h>
#include <sys/prctl.h>

QS_EXPORT int prctl(int option, ...)
{
	unsigned long arg[4];
	va_list args;
	int rc;

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		arg[i] = va_arg(args, unsigned long);
	va_end(args);
	rc = qs_real.prctl(option, arg[0], arg[1], arg[2], arg[3]);
	if (option == PR_SET_SECCOMP && rc == 0)
		qs_state_sandbox();
	return rc;
}
