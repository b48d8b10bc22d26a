/* SPDX-License-Identifier: MIT */
/* The engines that share a UDP port: slots, who is there, what they serve. Engine thread only. */
#ifndef QS_GROUP_H
#define QS_GROUP_H

#include "engine.h"
#include "handoff.h"

#define QS_GROUP_SLOTS 256u /* server sockets of one family and port in a network namespace */
#define QS_GROUP_SERVES_MAX 1024u /* of one member */
/* Of one member: two that join at once may have two. */
#define QS_GROUP_LINKS_MAX (2 * QS_GROUP_SLOTS)

/*
 * Theory. Each server socket is a *member*: it has the name `quicshim/udp4/PORT/SLOT` (or udp6), an
 * abstract SOCK_SEQPACKET listener that the kernel gives to one only and takes back when its owner
 * dies. Slot and a random generation are in the member's connection IDs. Who joins takes the lowest
 * free slot, listens, and then connects to all others: so of two that join at the same time one
 * sees the other. There is no other state than that.
 * Members of one port may be bound to different addresses, since a datagram for a wildcard's
 * connection can arrive at a specific address.
 *
 * A *link* is such a connection. Both sides say who they are and what they serve. A peer is believed
 * if its uid (as of its listen or connect, so before a daemon drops its privileges) is root's, ours,
 * or the one that owns our UDP socket, which is whom the kernel lets join. Others keep their slot,
 * and nothing is said to them. Two that join at once may have two links: both are read, the first
 * is written. A link holds at most QUEUE_MAX octets of datagrams that its peer has not read; more is
 * lost, as in any queue of the network, and counted. What can't be said ends the link; a lost one is
 * made again by the sweep.
 *
 * A listen() must know what all others serve: it says what it wants to serve, then sends SYNC on
 * each link and waits for each ACK (SYNC_MS at most: the peer may be stopped), which says too that what the
 * newcomer's arrival could harm is safe (group_settle.c). Of two that want the
 * same thing at once the one with the older time stays. While it waits it answers others, so two
 * that wait for each other don't wait long: all of this has its own epoll set within the engine's.
 */
struct qs_link {
	struct qs_source source;
	struct qs_grave grave;
	TAILQ_ENTRY(qs_link) link;
	struct qs_member *member;
	bool known; /* its hello came */
	bool late; /* it did not answer a SYNC in time: nobody waits for it until it does */
	uint16_t to; /* the slot that we connected to; QS_GROUP_SLOTS: it came to us */
	struct qs_handoff_hello peer;
	uint64_t bound_ns; /* since when its socket is bound; 0 = not yet */
	struct qs_serve *serves, *coming; /* what it serves; a list that is not whole */
	unsigned n_serves, n_coming, n_due;
	bool has_ebpf; /* it has sent its steering program */
	bool untold; /* a STEER for it found no room: it is sent again */
	bool is_keeper; /* its classic program knows us */
	bool told_classic; /* the same the other way */
	bool served; /* something, once: if it does not now, it drains, else it is about to */
	uint32_t asked, acked; /* the last SYNC that it was sent, and that it answered */
	bool owes; /* it asked, and we have not answered `owed` */
	uint32_t owed;
	uint64_t owed_until_ns; /* how long that may last, and what is asked soon after */
	STAILQ_HEAD(, qs_link_message) queue;
	size_t queued; /* octets */
};

struct qs_member {
	struct qs_engine *engine;
	struct qs_endpoint *endpoint;
	struct qs_source source; /* the listener of the name */
	struct qs_grave grave;
	struct qs_timer settle; /* the next look whether what links owe can be said */
	struct qs_addr address; /* what the endpoint is bound to */
	uint16_t slot, generation;
	uint64_t bound_ns; /* CLOCK_MONOTONIC; 0 = not yet */
	uint64_t secret; /* names the reset secret */
	uid_t uids[2]; /* believed, besides root: ours, the socket's */
	struct qs_serve *serves; /* as published */
	unsigned n_serves;
	TAILQ_HEAD(, qs_link) links;
	unsigned n_links;
	uint32_t sync;
	uint64_t handed_out, handed_in, lost; /* trains */
	uint64_t refused; /* strangers at our name, and who came when there were too many */
	uint64_t met_ns, alone_since_ns;
	bool incomplete; /* a link ended, or could not be made: the sweep looks who is there */
	bool deaf; /* no descriptors are left: the listener rests until the sweep */
};

/*
 * Takes a slot and meets the others. `secret` names our reset secret. *out is in no list of the
 * engine's. 0; -EADDRINUSE (no slot is free), -errno.
 */
int qs_member_join(struct qs_engine *engine, struct qs_endpoint *endpoint,
		   const struct qs_addr *address, uint64_t secret, struct qs_member **out);
/* Sends what is queued, waiting a little, and ends all links. NULL is allowed. */
void qs_member_leave(struct qs_member *member);

/* Once in a while: meets those whose link was lost. */
void qs_member_sweep(struct qs_member *member);
/* Tells all others what we serve now. */
void qs_member_publish(struct qs_member *member, const struct qs_serve *serves, unsigned n);
/* Returns when all others have answered what we said before, or after a second. */
void qs_member_sync(struct qs_member *member);

/* The link to the member in this slot, NULL if there is none that we may talk to. */
struct qs_link *qs_member_link(struct qs_member *member, uint16_t slot);
/* Whether anybody has the slot, be it a stranger. */
bool qs_member_slot_taken(const struct qs_member *member, uint16_t slot);
/* Our socket is bound: tells the others. */
void qs_member_bound(struct qs_member *member);
/* Whether of all who are bound to our address we are so for the longest time. `newcomer`: one that
 * may not be in the list yet, or NULL. */
bool qs_member_is_eldest(const struct qs_member *member, const struct qs_link *newcomer);
/* Whether another member's address is ours, or one of the two is the wildcard: the kernel lets only
 * sockets with SO_REUSEPORT have both. */
/* Nobody overlaps, or has for some seconds: the option may go. */
bool qs_member_is_alone(const struct qs_member *member);
bool qs_member_has_neighbour(const struct qs_member *member);
/* Whether another member is bound to our very address. */
bool qs_member_has_twin(const struct qs_member *member);

/* Hands a train over. False if the link's queue is full or its peer is gone. */
bool qs_link_send(struct qs_link *link, enum qs_handoff_type type, uint32_t number,
		  const struct qs_udp_train *train);

/* Sends STEER with n descriptors. What can't be sent now is not sent, and link->untold says so. */
void qs_link_send_fds(struct qs_link *link, const int *fds, unsigned n);

/* The epoll set of all of this; made when the first member joins. Sources in it are served also while we wait for
 * others. 0 or -errno. */
int qs_group_watch(struct qs_engine *engine, int op, struct qs_source *source, uint32_t events);
/* Serves what is due there, after waiting for it (-1 = for ever). False if there was nothing. */
bool qs_group_handle(struct qs_engine *engine, int wait_ms);
void qs_group_fini(struct qs_engine *engine);

/* --- what the endpoint does for it (endpoint.c) --- */

/* A train came over a link. */
void qs_endpoint_handed(struct qs_endpoint *endpoint, const struct qs_handoff *message);
/* Another member came, went, or serves something else. */
void qs_endpoint_group_changed(struct qs_endpoint *endpoint);
/* A link ends, or its peer serves other things now: what went that way must be decided anew. */
void qs_endpoint_sibling_gone(struct qs_endpoint *endpoint, const struct qs_link *link);
/* Another member wants to know what we serve: listeners that are gone don't count. */
void qs_endpoint_group_asked(struct qs_endpoint *endpoint);

#endif
