/* SPDX-License-Identifier: MIT */
/* How a datagram finds its member: by a program in the kernel, or by hash and hand-off. */
#ifndef QS_LADDER_H
#define QS_LADDER_H

#include "classic.h"
#include "engine.h"

#define QS_LADDER_FDS 4u /* program, slots, table, counts */

struct qs_endpoint;
struct qs_link;
struct qs_steer;

/*
 * Theory. Where a member may load the steering program (bpf/), the kernel gives each datagram to the
 * member that its connection ID names. Where none may, a program of classic BPF does nearly as
 * well (ladder_classic.c). Else the kernel's hash chooses. What comes to the wrong one is handed over
 * on every rung: they differ in speed only.
 * The *eldest* of the members bound to one address is responsible for those that come: once it has
 * got its first twin (before, there is no group to attach to) it opens what an administrator has
 * pinned for the address, or loads the program itself, attaches it, and sends the descriptors over
 * the links. Whoever gets them puts its socket into the slot that it has as a member. So the program
 * and its maps live as long as a member does, and nothing is left behind.
 * An eldest that may not load (it has given its privileges up) says so, by a message without
 * descriptors, and the newcomer tries. Until one succeeds, the eldest steers by classic BPF; then it
 * gives way, and puts the other's program back, which its own may have replaced meanwhile.
 * A member that gets a second set keeps its first: the program that was attached last is the
 * group's, and the others' datagrams are handed over, until they leave.
 */
struct qs_ladder {
	struct qs_steer *steer; /* NULL: not on the rung of eBPF */
	bool tried; /* to load */
	struct qs_ladder_load *load; /* NULL: none is under way */
	uint64_t mend_until_ns;

	/* classic BPF, for the eldest */
	struct qs_classic_map map; /* as attached */
	uint16_t found[QS_CLASSIC_SLOTS]; /* indices in this round; QS_CLASSIC_NOWHERE */
	uint64_t nonce; /* of this round; 0 = none goes on */
	uint64_t round_ns; /* when the next one begins; 0 = none is wanted */
	unsigned round; /* since the last change */
	bool attached; /* ours is the group's program */
	/* for everybody */
	bool doubt; /* a packet of a twin's came here */
	uint64_t doubted_ns;
};

/* Another member bound our address, or we did: does what the eldest must do. */
void qs_ladder_bound(struct qs_endpoint *endpoint, struct qs_link *newcomer);
/* What a sibling sent: takes the descriptors. n is QS_LADDER_FDS, or 0: it has none. */
void qs_ladder_take(struct qs_endpoint *endpoint, const int *fds, unsigned n);
/* Whether it accepts has changed. */
void qs_ladder_update(struct qs_endpoint *endpoint);
/* A sibling is gone: its share must go to others, soon. */
void qs_ladder_gone(struct qs_endpoint *endpoint);
/* Once in a while, and when members came or went: mends what that left behind. */
void qs_ladder_sweep(struct qs_endpoint *endpoint);
/* Gives the slot up; before the last reading of the socket. */
void qs_ladder_leave(struct qs_endpoint *endpoint);
enum qs_rung qs_ladder_rung(const struct qs_endpoint *endpoint);

/* --- ladder_classic.c --- */

/* Members came or went: looks for their indices anew. */
void qs_ladder_search(struct qs_endpoint *endpoint);
/* The same at the next sweep. */
void qs_ladder_search_later(struct qs_endpoint *endpoint);
/* A round that is due begins, one that lasts too long ends. */
void qs_ladder_search_sweep(struct qs_endpoint *endpoint);
/* A datagram with an ID of nobody's. True if it was a probe; whoever asks has been told. */
bool qs_ladder_probed(struct qs_endpoint *endpoint, const uint8_t *dcid, size_t len);
/* The member in this slot got our probe. */
void qs_ladder_found(struct qs_endpoint *endpoint, uint16_t slot, uint32_t index, uint64_t nonce);
/* A packet for this sibling came here; or (NULL) a sibling has seen such. */
void qs_ladder_doubt(struct qs_endpoint *endpoint, const struct qs_link *link);
/* There is a better program: ours is not to be attached again. True if it may be the group's now. */
bool qs_ladder_yield(struct qs_endpoint *endpoint);
/* Whether a program of classic BPF knows our socket. */
bool qs_ladder_is_classic(const struct qs_endpoint *endpoint);

#endif
