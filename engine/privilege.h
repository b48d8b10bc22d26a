/* SPDX-License-Identifier: MIT */
/* The engine's own privileges: never more than it needs, nor than the program has for whom it runs. */
#ifndef QS_PRIVILEGE_H
#define QS_PRIVILEGE_H

#include "control.h"

#include <sys/types.h>

struct qs_engine;

/* A process by number and time of birth; pid 0 = none. */
struct qs_birth {
	pid_t pid;
	uint64_t started;
};

#define QS_GUARDIANS_MAX 2u
#define QS_CANDIDATES_MAX 16u

/* Engine thread only. All zero: nothing is followed. */
struct qs_privilege {
	struct qs_birth guardians[QS_GUARDIANS_MAX];
	struct qs_birth candidates[QS_CANDIDATES_MAX];
	unsigned next_candidate;
	bool at_bottom; /* there is nothing left to give up */
	uint64_t looked_ns;
};

/*
 * For an engine process, when it has started: gives up what it never needs. From then on it
 * follows the process `starter`, and `origin` too if that is an ancestor of it (0 = none).
 */
void qs_privilege_init(struct qs_engine *engine, pid_t starter, pid_t origin);

/* The process `pid` may have fewer privileges than before: looks, and follows before it returns. */
void qs_privilege_asked(struct qs_engine *engine, pid_t pid);

/* Looks by itself, once a second. */
void qs_privilege_sweep(struct qs_engine *engine);

/*
 * For an engine thread: makes the system call that a thread of the same process has made. Takes only those that
 * can give privileges up, and from `pid` only if that is this process. 0 or -errno.
 */
int qs_privilege_mirror(struct qs_engine *engine, pid_t pid, const struct qs_mirror *call);

#endif
