/* SPDX-License-Identifier: MIT */
/* More threads for listeners: each worker is an engine of its own with a loop, UDP sockets and connections. */
#ifndef QS_WORKER_H
#define QS_WORKER_H

#include "engine.h"

struct qs_listener;

/*
 * Opens `listener` in workers 1 to rule->workers - 1 as well, and starts those that do not run yet. The caller is worker
 * 0, in process placement. Returns when all have bound their UDP sockets, so that an app may give up its rights after
 * listen(). Workers that can't be had are logged and done without.
 */
void qs_workers_listen(struct qs_engine *engine, const struct qs_listener *listener);
/* Runs order(engine of the worker, argument) on each worker's thread and waits for it. Worker 0. */
void qs_workers_do(struct qs_engine *engine,
		   void (*order)(struct qs_engine *engine, const void *argument),
		   const void *argument);
/* Whether a worker has something to serve; it may be told late. Worker 0. */
bool qs_workers_busy(const struct qs_engine *engine);
/* Ends idle workers and frees them. Worker 0, at its own end. */
void qs_workers_end(struct qs_engine *engine);
/* What a worker does at the end of each turn: tells whether it is busy. True if it shall end. */
bool qs_worker_turn(struct qs_engine *engine, bool idle);

#endif
