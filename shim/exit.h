/* SPDX-License-Identifier: MIT */
/* The ends of a process whose engine is a thread. */
#ifndef QS_EXIT_H
#define QS_EXIT_H

#include "../engine/control.h"

/* The process is about to exit or to exec: an engine thread of ours is told (control.h). Nothing
 * without one, and nothing once a seccomp filter is on. Async-signal-safe; keeps errno. */
void qs_exit_leave(enum qs_leave how);

/* Once a process that has an engine's name: process 1 of a namespace waits at its exit until the engine
 * has sent all. */
void qs_exit_init(void);

/* An engine thread runs, and is reached by *qs_exit_hook: exit() and quick_exit() shall tell it. Once
 * a process. */
void qs_exit_watch(void);
extern qs_leave_fn *qs_exit_hook;

#endif
