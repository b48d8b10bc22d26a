/* SPDX-License-Identifier: MIT */
/* An engine's turns (loop.c): what its start and its end need of them. Engine thread only. */
#ifndef QS_LOOP_H
#define QS_LOOP_H

#include "timer.h"

#include <stdint.h>

struct qs_engine;

#define QS_LOOP_SWEEP_NS (100 * QS_MSEC) /* between two sweeps, while there are listeners */

/* CLOCK_MONOTONIC. Parts of the engine take engine->now_ns, the turn's. */
uint64_t qs_loop_clock_ns(void);
/* The engine's periodic look at all that it has; sets its timer again. */
void qs_loop_sweep(struct qs_timer *timer, uint64_t now_ns);
/* Frees what qs_engine_bury was given. */
void qs_loop_empty_graves(struct qs_engine *engine);

#endif
