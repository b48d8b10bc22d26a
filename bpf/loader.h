/* SPDX-License-Identifier: MIT */
/* The steering of one UDP reuseport group: load, pin, attach, and the slots of its members. */
#ifndef QS_LOADER_H
#define QS_LOADER_H

#include "steer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * One struct qs_steer serves one reuseport group: network namespace, family, address, device, uid.
 * A map can't select across groups, so give each its own directory of pins. Several processes may use
 * the same pins at once, and any may die at any instant: there is no lock to be left held.
 *
 * All functions return >= 0 or -errno, print nothing, and are not async-signal-safe. A struct
 * qs_steer may be used by one thread at a time; several may exist for the same pins.
 */
struct qs_steer;

/* Who may use the pins. Attaching takes reading, membership takes reading and writing. */
struct qs_steer_access {
	uid_t owner; /* of the maps; (uid_t)-1: the caller */
	gid_t group; /* of the maps; (gid_t)-1: the caller's */
	mode_t mode; /* of the maps, within 0666; the program is 0444, the directory 0755 */
};

/* A slot and the generation in which it was claimed: both go into the member's connection IDs. */
struct qs_steer_member {
	uint16_t slot;
	uint16_t generation;
};

struct qs_steer_slot_view {
	enum qs_steer_state state; /* as the table says */
	uint16_t generation;
	uint32_t pid;
	uint64_t cookie; /* SO_COOKIE of the socket; 0: none, whatever the state is */
	unsigned buckets; /* that name this slot */
};

/*
 * Loads a new program with new, empty maps. The first generation of each slot is random, so that the
 * IDs of an earlier load don't fit. host: as qs_cid_fields. *out: free it with qs_steer_free().
 * -EPERM: needs CAP_BPF and CAP_NET_ADMIN (or root). -ENOMEM. Others: the kernel refuses the program.
 */
int qs_steer_load(struct qs_steer **out, uint16_t host);

/*
 * Pins program and maps as dir/steer_*; makes dir, whose parent must be in a BPF file system. All or
 * nothing: others see dir whole or not at all. NULL access: the caller alone.
 * -EEXIST: somebody was first: qs_steer_open() it. -ENOTSUP: no BPF file system. -EINVAL: the last
 * part of dir is empty or has a dot, or bits of the mode are out of range. -ENOENT, -EPERM, -EACCES.
 */
int qs_steer_pin(const struct qs_steer *steer, const char *dir,
		 const struct qs_steer_access *access);

/* Where engines look for the pins of a UDP address; ip: 4 or 16 octets. */
#define QS_STEER_PATH_MAX 96
void qs_steer_path(int family, const uint8_t *ip, uint16_t port,
		   char out[static QS_STEER_PATH_MAX]);

/*
 * Uses what is pinned. read_only: for the views, as of now, the counters, and to attach; the kernel
 * wants only reading then. Since Linux 5.19 it needs no privilege, before that CAP_BPF.
 * -ENOENT: nothing is pinned there. -EPERM: dir belongs neither to root nor to the caller, or anyone
 * may write into it, or (with kernels that want it) no CAP_BPF. -EPROTO: not our program, or another
 * layout of the table. -EACCES.
 */
int qs_steer_open(struct qs_steer **out, const char *dir, bool read_only);

/* Program, slots, table, counts; they stay the steer's. For another process, by SCM_RIGHTS. */
void qs_steer_fds(const struct qs_steer *steer, int fds[static 4]);
/* Uses those: takes them, also if it fails. -EPROTO: not our program or maps. -EACCES, -ENOMEM. */
int qs_steer_adopt(struct qs_steer **out, const int fds[static 4]);

/* Removes the pins and dir; members go on until their descriptors and sockets are closed.
 * -ENOENT: nothing is pinned there; files of others are left. -EPERM, -EACCES. */
int qs_steer_unpin(const char *dir);

/* NULL is allowed. Slots stay claimed as long as their sockets are open. */
void qs_steer_free(struct qs_steer *steer);

uint16_t qs_steer_host(const struct qs_steer *steer);

/*
 * Makes the program the one of the socket's reuseport group: of all its sockets, and of those that
 * join later. fd: a UDP socket with SO_REUSEPORT, bound. Never connect() a member, not even to
 * probe: it leaves the group for good.
 * -ENOTSUP: not a UDP socket. -EINVAL: no SO_REUSEPORT. -EDESTADDRREQ: not bound. -EPERM: locked.
 */
int qs_steer_attach(const struct qs_steer *steer, int fd);

/*
 * Puts the socket into the lowest slot that has none, under a new generation, as draining: it gets
 * nothing new yet. A slot is free again when its socket is closed, by whomever.
 * -EBUSY: the socket has a slot already, here or elsewhere. -ENOSPC: all slots are taken.
 * -EINVAL: no SO_REUSEPORT or not bound. -EACCES: opened read-only.
 */
int qs_steer_claim(const struct qs_steer *steer, int fd, struct qs_steer_member *out);

/*
 * The same for a slot and generation of the caller's choice.
 * -EEXIST: a socket is in that slot. -EBUSY, -EINVAL, -EACCES: as above, or slot out of range.
 */
int qs_steer_claim_at(const struct qs_steer *steer, int fd, const struct qs_steer_member *want);

/*
 * Accepting: new connections come, and buckets move here from those who have most; draining: the
 * buckets move away, and what bears our IDs still comes. Returns the number of buckets moved.
 * -ESTALE: the slot is not in that generation any more. -EINVAL: neither of the two states, or slot
 * out of range. -EACCES.
 */
int qs_steer_set(const struct qs_steer *steer, const struct qs_steer_member *member,
		 enum qs_steer_state state);

/*
 * Gives the slot up; call it before close(), then read the socket until it is empty, then close.
 * The kernel takes a closing socket from its group before it takes it from its hash: in between a
 * datagram for a sibling may come to it and be lost (one in a thousand closes under full load). So
 * keep sockets for long; connect() is no cure, it makes lookups miss the program.
 * Returns the number of buckets moved. Errors as qs_steer_set().
 */
int qs_steer_release(const struct qs_steer *steer, const struct qs_steer_member *member);

/*
 * Mends the table after members that died: gives away the buckets of slots that are not accepting or
 * have no socket, and evens out, moving as few as that takes: afterwards each of n accepting slots
 * has 256/n buckets, rounded up or down. Any member may call it at any time; from time to time one
 * should. Returns the number of buckets moved, 0 too if nobody accepts. -EACCES.
 */
int qs_steer_settle(const struct qs_steer *steer);

/* -EINVAL: out of range. */
int qs_steer_slot_view(const struct qs_steer *steer, unsigned slot, struct qs_steer_slot_view *out);

/* Slot and the one before it; QS_STEER_NONE for nobody. -EINVAL: out of range. */
int qs_steer_bucket_view(const struct qs_steer *steer, unsigned bucket, uint16_t *slot,
			 uint16_t *previous);

/* The sum of all CPUs' counters. -ENOMEM. */
int qs_steer_counts(const struct qs_steer *steer, struct qs_steer_counts *out);

/* As in messages and JSON: "free", "steered"; "?" if out of range. */
const char *qs_steer_state_name(enum qs_steer_state state);
const char *qs_steer_count_name(enum qs_steer_count count);

#endif
