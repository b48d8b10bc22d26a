/* SPDX-License-Identifier: MIT */
/* How a datagram finds its member: by the program in the kernel, or by hash and hand-off. */
#ifndef QS_LADDER_H
#define QS_LADDER_H

#include "engine.h"

#define QS_LADDER_FDS 4u /* program, slots, table, counts */

struct qs_endpoint;
struct qs_link;
struct qs_steer;

/*
 * Theory. Where a member may load the steering program (bpf/), the kernel gives each datagram to the
 * member that its connection ID names; else its hash chooses and hand-off mends. The rungs differ
 * in speed only.
 * The *eldest* of the members bound to one address is responsible for those that come: once it has
 * got its first twin (before, there is no group to attach to) it opens what an administrator has
 * pinned for the address, or loads the program itself, attaches it, and sends the descriptors over
 * the links. Whoever gets them puts its socket into the slot that it has as a member. So the program
 * and its maps live as long as a member does, and nothing is left behind.
 * An eldest that may not load (it has given its privileges up) says so, by a message without
 * descriptors, and the newcomer tries.
 * A member that gets a second set keeps its first: the program that was attached last is the
 * group's, and the others' datagrams are handed over, until they leave.
 */
struct qs_ladder {
	struct qs_steer *steer; /* NULL: not on the rung of eBPF */
	bool tried; /* to load */
	uint64_t mend_until_ns;
};

/* Another member bound our address, or we did: does what the eldest must do. */
void qs_ladder_bound(struct qs_endpoint *endpoint, struct qs_link *newcomer);
/* What a sibling sent: takes the descriptors. n is QS_LADDER_FDS, or 0: it has none. */
void qs_ladder_take(struct qs_endpoint *endpoint, const int *fds, unsigned n);
/* Whether it accepts has changed. */
void qs_ladder_update(struct qs_endpoint *endpoint);
/* A sibling is gone: its share must go to others. */
void qs_ladder_mend(struct qs_endpoint *endpoint);
/* Gives the slot up; before the last reading of the socket. */
void qs_ladder_leave(struct qs_endpoint *endpoint);
enum qs_rung qs_ladder_rung(const struct qs_endpoint *endpoint);

#endif
