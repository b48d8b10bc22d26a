/* SPDX-License-Identifier: MIT */
/* prctl and seccomp filters, chroot: what the shim must not do afterwards, and what must be done before. */
#include "sandbox.h"

#include "ask.h"
#include "filter.h"
#include "pages.h"
#include "privilege.h"
#include "raw.h"
#include "real.h"
#include "sandbox_calls.h"
#include "state.h"

#include <stdarg.h>
#include <sys/prctl.h>

/*
 * Theory. A filter may end the program at a system call that it does not make itself (R7). The app hands its
 * filter over through us, so each kind of call that we add (sandbox_calls.c) is tried on it first, as the kernel would
 * (filter.c), and what it would punish is given up, for the whole process:
 *
 *	filtered	making one call of the app's as another (any filter)
 *	sandboxed	looking at a descriptor after an error
 *	blind		looking at descriptors at all: nothing is mapped any more, what is goes on
 *	sealed		talking to the engine: a connect() or listen() that the policy names is EACCES
 *	no_spawn	starting an engine
 *	no_probe	asking Landlock: where it is on, connect() is EACCES
 *	mute		the line on stderr
 *
 * What a filter refuses with an errno does no harm, and is made. A filter that came by exec is not known: such
 * a process is sandboxed (state.c). Filters add up, so these flags only rise. That a filter is one
 * thread's makes no difference here.
 */

static bool is_deadly(const struct sock_fprog *filter, enum qs_own_calls kind)
{
	size_t n;
	const struct qs_own_call *calls = qs_own_calls(kind, &n);

	for (size_t i = 0; i < n; i++)
		if (!filter || qs_filter_is_deadly(filter, calls[i].nr, calls[i].argument))
			return true;
	return false;
}

static void raise_flag(atomic_bool *flag)
{
	atomic_store_explicit(flag, true, memory_order_relaxed);
}

void qs_sandbox_note(const void *filter)
{
	raise_flag(&qs_state.filtered);
	if (!qs_watching())
		return;
	if (is_deadly(filter, QS_CALLS_SAY))
		raise_flag(&qs_state.mute);
	if (is_deadly(filter, QS_CALLS_SPAWN))
		raise_flag(&qs_state.no_spawn);
	if (is_deadly(filter, QS_CALLS_PROBE))
		raise_flag(&qs_state.no_probe);
	if (is_deadly(filter, QS_CALLS_LOOK)) {
		raise_flag(&qs_state.blind);
		raise_flag(&qs_state.sealed);
		raise_flag(&qs_state.sandboxed);
	}
	if (is_deadly(filter, QS_CALLS_ASK))
		raise_flag(&qs_state.sealed);
}

void qs_sandbox_prepare(void)
{
	static atomic_int prepared; /* by which process: a forked child stays for itself */
	struct qs_control_req req = {.op = QS_OP_STAY};
	struct qs_control_reply reply;
	int fds[2], pid, saved = errno;

	if (!qs_watching() || !qs_state.has_identity || qs_state.broken ||
	    !(qs_state.has_connect || qs_state.has_listen) ||
	    atomic_load_explicit(&qs_state.sealed, memory_order_relaxed))
		return;
	pid = (int)qs_raw(SYS_getpid, 0, 0, 0, 0);
	if (atomic_exchange_explicit(&prepared, pid, memory_order_relaxed) == pid)
		return;
	/* Only the first of a tree starts one: it would be of the wrong user in a child that has dropped. */
	if (qs_ask(&req, -1, &reply, fds, 2, qs_state.origin == pid) == 2) {
		qs_state_activate();
		qs_pages_adopt(fds[0], fds[1]);
	}
	errno = saved;
}

QS_EXPORT int prctl(int option, ...)
{
	unsigned long arg[4];
	va_list args;
	int rc;

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		arg[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_SECCOMP)
		qs_sandbox_prepare();
	rc = qs_real.prctl(option, arg[0], arg[1], arg[2], arg[3]);
	if (option == PR_SET_SECCOMP && rc == 0)
		qs_sandbox_note(arg[0] == SECCOMP_MODE_FILTER ? (const void *)arg[1] : NULL);
	else if (rc == 0)
		qs_privilege_follow_prctl(option, arg);
	return rc;
}

QS_EXPORT int chroot(const char *path)
{
	qs_sandbox_prepare();
	return qs_real.chroot(path);
}
