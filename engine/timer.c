/* SPDX-License-Identifier: MIT */
/* Timers: a binary heap of deadlines. */
#include "timer.h"

#include <errno.h>
#include <stdlib.h>

void qs_timers_fini(struct qs_timers *timers)
{
	free(timers->heap);
	*timers = (struct qs_timers){0};
}

static void put(struct qs_timers *timers, size_t index, struct qs_timer *timer)
{
	timers->heap[index] = timer;
	timer->index = index;
}

static void sift_up(struct qs_timers *timers, struct qs_timer *timer)
{
	size_t i = timer->index;

	for (; i > 1 && timers->heap[i / 2]->at_ns > timer->at_ns; i /= 2)
		put(timers, i, timers->heap[i / 2]);
	put(timers, i, timer);
}

static void sift_down(struct qs_timers *timers, struct qs_timer *timer)
{
	size_t i = timer->index;

	for (;;) {
		size_t child = i * 2;

		if (child > timers->n)
			break;
		if (child < timers->n &&
		    timers->heap[child + 1]->at_ns < timers->heap[child]->at_ns)
			child++;
		if (timers->heap[child]->at_ns >= timer->at_ns)
			break;
		put(timers, i, timers->heap[child]);
		i = child;
	}
	put(timers, i, timer);
}

int qs_timer_set(struct qs_timers *timers, struct qs_timer *timer, uint64_t at_ns)
{
	if (timer->index == 0) {
		if (timers->n + 2 > timers->cap) {
			size_t cap = timers->cap ? timers->cap * 2 : 64;
			struct qs_timer **heap = realloc(timers->heap, cap * sizeof(*heap));

			if (heap == NULL)
				return -ENOMEM;
			timers->heap = heap;
			timers->cap = cap;
		}
		timers->n++;
		put(timers, timers->n, timer);
	}
	timer->at_ns = at_ns;
	sift_up(timers, timer);
	sift_down(timers, timer);
	return 0;
}

void qs_timer_clear(struct qs_timers *timers, struct qs_timer *timer)
{
	size_t i = timer->index;
	struct qs_timer *last;

	if (i == 0)
		return;
	timer->index = 0;
	last = timers->heap[timers->n--];
	if (last == timer)
		return;
	put(timers, i, last);
	sift_up(timers, last);
	sift_down(timers, last);
}

uint64_t qs_timers_next(const struct qs_timers *timers)
{
	return timers->n ? timers->heap[1]->at_ns : UINT64_MAX;
}

void qs_timers_run(struct qs_timers *timers, uint64_t now_ns)
{
	while (timers->n && timers->heap[1]->at_ns <= now_ns) {
		struct qs_timer *timer = timers->heap[1];

		qs_timer_clear(timers, timer);
		timer->fn(timer, now_ns);
	}
}
