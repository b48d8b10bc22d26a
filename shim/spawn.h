/* SPDX-License-Identifier: MIT */
/* Starts the engine of this process tree. */
#ifndef QS_SPAWN_H
#define QS_SPAWN_H

/* Remembers where the engine is; called once, before the program can change directory or root. */
void qs_spawn_init(void);

/*
 * Makes the engine's listening sockets and starts it, in the placement that the policy names.
 * 0: connects to it succeed from now on. -EADDRINUSE: somebody else starts or ends it just now.
 * Else -errno; a line on stderr has said why. Leaves errno alone.
 */
int qs_spawn_engine(void);

/* Called by abort() and failed assertions if an engine thread is in this process (trap.h). */
extern void (*qs_spawn_trap_hook)(const char *what);

#endif
