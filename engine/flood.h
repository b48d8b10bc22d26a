/* SPDX-License-Identifier: MIT */
/* How much is done in a time for first flights, whoever sends them. */
#ifndef QS_FLOOD_H
#define QS_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

/* The unit is a look: to find out whether a first flight is authentic. */
#define QS_FLOOD_RATE 20000u /* a second, on the whole */
#define QS_FLOOD_BURST 4096u /* at once: what a socket's buffer holds */
#define QS_FLOOD_LOOK 1u
#define QS_FLOOD_RETRY 4u

struct qs_flood {
	uint64_t filled_ns; /* up to when `room` counts; 0 = never yet */
	unsigned room;
};

/* Whether something that costs so many looks may be done now. `now_ns` never goes back. */
bool qs_flood_admit(struct qs_flood *flood, unsigned looks, uint64_t now_ns);

#endif
