/* SPDX-License-Identifier: (MIT OR GPL-2.0) */
/* What the steering program and its loader share: maps, slots, buckets and counters. */
#ifndef QS_STEER_H
#define QS_STEER_H

#include <linux/types.h>

/* Members of a reuseport group, and parts that the 4-tuple hash is cut into: powers of two. */
#define QS_STEER_SLOTS 256
#define QS_STEER_BUCKETS 256
#define QS_STEER_NONE 0xffff /* a bucket's slot: nobody */

#define QS_STEER_MAGIC 0x51535301u /* "QSS", layout 1 */

/*
 * Maps and program; the names are also those of the pins.
 *	steer_slots	REUSEPORT_SOCKARRAY, slot -> socket
 *	steer_table	ARRAY of one struct qs_steer_table, which members map into memory
 *	steer_counts	PERCPU_ARRAY of one struct qs_steer_counts
 */
#define QS_STEER_PROGRAM "steer_select"
#define QS_STEER_MAP_SLOTS "steer_slots"
#define QS_STEER_MAP_TABLE "steer_table"
#define QS_STEER_MAP_COUNTS "steer_counts"

enum qs_steer_state {
	QS_STEER_FREE, /* gets nothing */
	QS_STEER_DRAINING, /* gets only what bears its own connection IDs */
	QS_STEER_ACCEPTING, /* gets new connections too */
	QS_STEER_N_STATES,
};

/* Written only by the process whose socket is in the slot. */
struct qs_steer_slot {
	__u32 word; /* [a] state << 16 | generation */
	__u32 pid; /* [a] for people */
};

struct qs_steer_table {
	__u32 magic; /* [I] */
	__u16 host; /* [I] host ID, host byte order */
	__u16 reserved; /* [I] 0 */
	struct qs_steer_slot slots[QS_STEER_SLOTS];
	/* [a] previous slot << 16 | slot; any member may change one, by compare and swap */
	__u32 buckets[QS_STEER_BUCKETS];
};

/* Each datagram counts as one of the first four, and may count as one of the others. */
enum qs_steer_count {
	QS_STEER_STEERED, /* to the slot that its connection ID names */
	QS_STEER_NEW, /* long header with an ID that the client made up */
	QS_STEER_UNKNOWN, /* truncated, or neither QUIC nor an ID of ours */
	QS_STEER_STRAY, /* our ID and host, but the slot is out of range, empty or another's */
	QS_STEER_SCANNED, /* its bucket's slot could not take it: somebody else was looked for */
	QS_STEER_NOBODY, /* no slot was taken at all: the kernel chose */
	QS_STEER_N_COUNTS,
};

struct qs_steer_counts {
	__u64 n[QS_STEER_N_COUNTS];
};

static inline __u32 qs_steer_slot_word(enum qs_steer_state state, __u16 generation)
{
	return (__u32)state << 16 | generation;
}

static inline __u32 qs_steer_slot_state(__u32 word)
{
	return word >> 16;
}

static inline __u16 qs_steer_slot_generation(__u32 word)
{
	return (__u16)word;
}

static inline __u32 qs_steer_bucket_word(__u16 slot, __u16 previous)
{
	return (__u32)previous << 16 | slot;
}

static inline __u16 qs_steer_bucket_slot(__u32 word)
{
	return (__u16)word;
}

static inline __u16 qs_steer_bucket_previous(__u32 word)
{
	return (__u16)(word >> 16);
}

#endif
