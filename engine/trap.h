/* SPDX-License-Identifier: MIT */
/* Layer 2 of D10's guards: a failed assertion or abort() in a library poisons one connection. */
#ifndef QS_TRAP_H
#define QS_TRAP_H

#include <setjmp.h>
#include <stdbool.h>

/*
 * Use, on the engine thread only, around library calls for one connection; either
 *	if (!qs_trap_run(call, argument)) { poison the connection; return; }
 * or, where that is awkward,
 *	if (QS_TRAP_ENTER()) { poison the connection; return; }
 *	... library calls for this one connection ...
 *	qs_trap_leave();
 * Not nested. QS_TRAP_ENTER() is 0 first, and 1 when it comes back by a jump: then locals that
 * changed since are indeterminate unless volatile, and the function that holds it must not have
 * returned (setjmp(3)). No signal mask is saved. qs_trap_run() has neither worry.
 *
 * After a jump the trap is inactive, qs_trap_state.what says what failed, and every frame between
 * was skipped: library, callbacks of ours and all. A poisoned connection must therefore
 *	- never be handed to ngtcp2 or GnuTLS again, not to be freed either: its ngtcp2_conn, its
 *	  session and what only they point to are leaked on purpose (count them);
 *	- be taken out of all lists of ours, whose callbacks are written so that such lists are
 *	  whole at every library call.
 * Which locks may be held, and why that is safe: see trap.c.
 */
struct qs_trap {
	sigjmp_buf jump;
	bool active;
	char what[128]; /* what failed, for the log; NUL-ended, cut to fit */
};
extern _Thread_local struct qs_trap qs_trap_state __attribute__((tls_model("global-dynamic")));

#define QS_TRAP_ENTER() (qs_trap_state.active = true, sigsetjmp(qs_trap_state.jump, 0))
static inline void qs_trap_leave(void)
{
	qs_trap_state.active = false;
}

/* Runs call(argument) inside a trap. True if it returned, false if it failed and was left. */
bool qs_trap_run(void (*call)(void *argument), void *argument);

/*
 * Called by whoever exports __assert_fail and abort in this process (the shim in thread
 * placement, through dlsym(); the helper program in process placement) before it does the real
 * thing. Does not return if this thread is inside a trap, else returns and has done nothing.
 * `what` may be NULL. Any thread; async-signal-safe.
 */
void qs_trap_catch(const char *what);

#endif
