/* SPDX-License-Identifier: MIT */
/* Timers: a binary heap of deadlines. */
#ifndef QS_TIMER_H
#define QS_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct qs_timer {
	uint64_t at_ns;
	size_t index; /* 1-based place in the heap, 0 = not set */
	void (*fn)(struct qs_timer *timer, uint64_t now_ns);
};

struct qs_timers {
	struct qs_timer **heap; /* heap[1..n] */
	size_t n, cap;
};

void qs_timers_fini(struct qs_timers *timers);
/* Sets or moves. 0 or -ENOMEM. */
int qs_timer_set(struct qs_timers *timers, struct qs_timer *timer, uint64_t at_ns);
void qs_timer_clear(struct qs_timers *timers, struct qs_timer *timer);
/* The earliest deadline, UINT64_MAX if there is none. */
uint64_t qs_timers_next(const struct qs_timers *timers);
/* Clears and calls each timer that is due. */
void qs_timers_run(struct qs_timers *timers, uint64_t now_ns);

#endif
