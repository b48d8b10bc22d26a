/* SPDX-License-Identifier: MIT */
/* An engine thread that goes on without its process (DESIGN D6). */
#ifndef QS_OUTLIVE_H
#define QS_OUTLIVE_H

#include "engine.h"

/* From now on qs_outlive_leave() reaches this engine. Engine thread, once a process, when the
 * engine is ready to run. 0 or -errno: then it ends with its process. */
int qs_outlive_init(struct qs_engine *engine);

/* Any thread of the host but the engine's (control.h says what it does). Raw calls and atomics
 * only: async-signal-safe. */
qs_leave_fn qs_outlive_leave;

/* The copy: its loop goes round. Once a second. */
void qs_outlive_alive(void);

/* Engine thread, at the end of each turn. True: this process's engine has ended, and its thread must
 * call qs_outlive_end(). */
bool qs_outlive_turn(struct qs_engine *engine);

/* Engine thread, after qs_engine_run(): gives up all descriptors and lets the waiting ones go on.
 * Returns if the process may live on without an engine of its own. */
void qs_outlive_end(struct qs_engine *engine);

#endif
