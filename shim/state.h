/* SPDX-License-Identifier: MIT */
/* What this process knows: the policy, the engine's identity, and whether it may hold mapped
 * sockets. */
#ifndef QS_STATE_H
#define QS_STATE_H

#include "../engine/control.h"
#include "../engine/policy.h"

#include <stdatomic.h>

struct qs_state {
	/*
	 * [I] after qs_state_init() has finished: immutable
	 * [a] atomic, relaxed: flags that only ever rise
	 */
	atomic_int stage; /* [a] release/acquire: 0 not begun, 1 running, 2 finished */
	atomic_bool watching; /* [a] connect and listen must look: there is a policy or a mapped
				 socket */
	atomic_bool active; /* [a] a descriptor of this process may be mapped */
	atomic_bool
		filtered; /* [a] this process has set a seccomp filter: no call is made as another */
	atomic_bool
		sandboxed; /* [a] a seccomp filter came: no system call the app did not make (R7) */
	/* [a] what it would punish: sandbox.c */
	atomic_bool blind, sealed, no_spawn, no_probe, mute;
	atomic_bool rings; /* [a] this process has set up an io_uring */
	const struct qs_policy *policy; /* [I] NULL = none */
	bool has_connect, has_listen; /* [I] a rule that maps */
	bool broken; /* [I] there is a policy that can't be used: fail closed */
	bool has_identity; /* [I] */
	struct qs_identity identity; /* [I] */
	int origin; /* [I] the process that chose the identity, 0 = not known */
	char policy_path[4096]; /* [I] absolute, "" = none */
	struct qs_policy_error error; /* [I] if broken */
};
extern struct qs_state qs_state;

/* This thread is an engine (`engine = thread`): nothing it calls is the app's. */
extern _Thread_local bool qs_state_is_engine;
void qs_state_engine_thread(void);

/*
 * Reads policy and identity; the constructor calls it, or the first call that comes before. The
 * second time it does nothing. Preserves errno. Not async-signal-safe.
 */
void qs_state_init(void);

/* True if connect() and listen() must look at a descriptor at all. */
static inline bool qs_watching(void)
{
	if (__builtin_expect(atomic_load_explicit(&qs_state.stage, memory_order_acquire) == 0, 0))
		qs_state_init();
	return atomic_load_explicit(&qs_state.watching, memory_order_relaxed) &&
	       !qs_state_is_engine;
}

/* True if a descriptor of this process may be mapped. */
static inline bool qs_active(void)
{
	return __builtin_expect(atomic_load_explicit(&qs_state.active, memory_order_relaxed), 0) &&
	       !atomic_load_explicit(&qs_state.blind, memory_order_relaxed) && !qs_state_is_engine;
}

/* True if a call that the app did not ask for may be made after an error (R7). */
static inline bool qs_may_look(void)
{
	return qs_active() && !atomic_load_explicit(&qs_state.sandboxed, memory_order_relaxed);
}

/* True if a call of the app's may be made as another that does the same: no filter can punish that. */
static inline bool qs_may_swap(void)
{
	return qs_may_look() && !atomic_load_explicit(&qs_state.filtered, memory_order_relaxed);
}

/* True if the engine can be talked to, and a descriptor be put in the place of another. */
static inline bool qs_may_ask(void)
{
	return !atomic_load_explicit(&qs_state.sealed, memory_order_relaxed);
}

/* From now on descriptors may be mapped. */
void qs_state_activate(void);
/* From now on a seccomp filter is on. */
void qs_state_sandbox(void);

/*
 * Writes one line to stderr, once for each distinct text in this process. Only if descriptor 2
 * looks like a place for messages: daemons close it and open a file of theirs there.
 * Async-signal-safe; preserves errno.
 */
void qs_complain(const char *format, const char *first, const char *second);

#endif
