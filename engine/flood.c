/* SPDX-License-Identifier: MIT */
/* How much is done in a time for first flights, whoever sends them. */

/*
 * Theory. A first flight costs an engine microseconds until it is known to be nobody's, and anybody can send hundreds of
 * thousands a second in anybody's name, through the socket that all connections share. What is over the rate is dropped
 * before its keys are made, which costs so little that the socket does not overflow and the connections that there are go
 * on. Room comes back in small pieces, so that of a flood a sample is taken: a client that repeats its first flight, as
 * all do, is seen sooner or later. No honest crowd is that large: a handshake costs far more.
 */
#include "flood.h"

#define STEP_NS (1000000000ull / QS_FLOOD_RATE)

bool qs_flood_admit(struct qs_flood *flood, unsigned looks, uint64_t now_ns)
{
	uint64_t steps = (now_ns - flood->filled_ns) / STEP_NS;

	if (flood->filled_ns == 0 || steps >= QS_FLOOD_BURST - flood->room) {
		flood->filled_ns = now_ns;
		flood->room = QS_FLOOD_BURST;
	} else {
		flood->filled_ns += steps * STEP_NS;
		flood->room += (unsigned)steps;
	}
	if (flood->room < looks)
		return false;
	flood->room -= looks;
	return true;
}
