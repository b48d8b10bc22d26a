/* SPDX-License-Identifier: (MIT OR GPL-2.0) */
/* Chooses the member of a UDP reuseport group that a datagram belongs to (sk_reuseport). */

/*
 * A datagram that bears a connection ID of ours (engine/cid.h: first octet, host 2, slot 2,
 * generation 2, nonce 9) goes to the socket in that slot, if the generation is the slot's. All else
 * goes by bucket: the kernel's hash of addresses and ports picks one of 256, which names a slot.
 *
 * The program always selects while any slot is taken. Without a selection the kernel's hash runs
 * over all members, draining ones too, and moves most flows when one joins or leaves; SK_DROP would
 * answer with ICMP. So when a bucket's slot can't take the datagram, its previous slot is tried,
 * then all slots from one that the hash names (one flow stays with one slot): an accepting one if
 * there is one, else a draining one. That costs time only until a member mends the table.
 *
 * The second bit of a header says nothing: peers may clear it (RFC 9287, which we ask for).
 *
 * Clients choose the first destination ID of a connection: in a long header an ID counts as ours
 * only if length, first octet and host fit. A client that guesses all of it reaches a slot of its
 * choice, which it can do anyhow by its port. Of a train joined by GRO only the first datagram is seen.
 *
 * The program only reads the table (not BPF_F_RDONLY_PROG: no member could map that). Slots are numbers below QS_STEER_SLOTS wherever they come from:
 * each is checked or masked here, since any member may write anything into the table.
 */
#include "steer.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define UDP_HEADER 8u /* what the context's data starts with */

#define LONG_HEADER 0x80
#define VERSION_NEGOTIATION 0u

/* What cid.h says, which is not for this compiler. */
#define CID_LEN 16u
#define CID_LENGTH_MASK 0x1f
#define CID_CONFIG_SHIFT 5
#define CID_UNROUTABLE 7
#define CID_OFFSET_HOST 1
#define CID_OFFSET_SLOT 3
#define CID_OFFSET_GENERATION 5
#define CID_HEAD 7u /* as much of it as says where it belongs */

#define SHORT_HEAD 1u /* octets in front of the ID */
#define LONG_HEAD 6u /* flags, version, length of the ID */
#define LONG_LEAST 7u /* RFC 8999: the source ID's length too */

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, QS_STEER_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} steer_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct qs_steer_table);
} steer_table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct qs_steer_counts);
} steer_counts SEC(".maps");

static __always_inline __u32 once(const __u32 *word)
{
	return *(const volatile __u32 *)word;
}

static __always_inline __u16 get16(const __u8 *data)
{
	return (__u16)(data[0] << 8 | data[1]);
}

static __always_inline __u32 state_of(const struct qs_steer_table *table, __u32 slot)
{
	return qs_steer_slot_state(once(&table->slots[slot % QS_STEER_SLOTS].word));
}

/* The kernel refuses an empty slot and a socket of another group. */
static __always_inline int give(struct sk_reuseport_md *ctx, __u32 slot)
{
	return bpf_sk_select_reuseport(ctx, &steer_slots, &slot, 0) == 0;
}

static __always_inline int give_accepting(struct sk_reuseport_md *ctx,
					  const struct qs_steer_table *table, __u32 slot)
{
	return slot < QS_STEER_SLOTS && state_of(table, slot) == QS_STEER_ACCEPTING &&
	       give(ctx, slot);
}

/*
 * Tries all slots in that state, from start on. The body has one branch, which leaves the loop: paths
 * that meet again in each of 256 turns are too many for the verifier. So a slot in another state
 * is tried too, but under a key that no map has, which the kernel refuses at once.
 */
static __always_inline int give_scanned(struct sk_reuseport_md *ctx,
					const struct qs_steer_table *table, __u32 start,
					enum qs_steer_state wanted)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < QS_STEER_SLOTS; i++) {
		__u32 slot = (start + i) % QS_STEER_SLOTS;
		__u32 other = state_of(table, slot) ^ wanted;

		/* States are 16 bits: other - 1 borrows only from 0. Hidden, or a branch comes back. */
		other = ~(other - 1) & 0x80000000u;
		asm volatile("" : "+r"(other));
		if (give(ctx, slot | other))
			return 1;
	}
	return 0;
}

static __always_inline void give_by_bucket(struct sk_reuseport_md *ctx,
					   const struct qs_steer_table *table,
					   struct qs_steer_counts *counts)
{
	__u32 hash = ctx->hash;
	__u32 word = once(&table->buckets[hash % QS_STEER_BUCKETS]);

	if (give_accepting(ctx, table, qs_steer_bucket_slot(word)))
		return;
	counts->n[QS_STEER_SCANNED]++;
	if (give_accepting(ctx, table, qs_steer_bucket_previous(word)))
		return;
	if (!give_scanned(ctx, table, hash, QS_STEER_ACCEPTING) &&
	    !give_scanned(ctx, table, hash, QS_STEER_DRAINING))
		counts->n[QS_STEER_NOBODY]++;
}

/* The start of an ID, all CID_LEN octets of which are there. */
static __always_inline int is_ours(const struct qs_steer_table *table, const __u8 *cid)
{
	return (cid[0] & CID_LENGTH_MASK) == CID_LEN - 1 &&
	       cid[0] >> CID_CONFIG_SHIFT != CID_UNROUTABLE &&
	       get16(cid + CID_OFFSET_HOST) == table->host;
}

static __always_inline int give_by_id(struct sk_reuseport_md *ctx,
				      const struct qs_steer_table *table, const __u8 *cid)
{
	__u32 slot = get16(cid + CID_OFFSET_SLOT);
	__u32 word;

	if (slot >= QS_STEER_SLOTS)
		return 0;
	word = once(&table->slots[slot].word);
	return qs_steer_slot_state(word) != QS_STEER_FREE &&
	       qs_steer_slot_generation(word) == get16(cid + CID_OFFSET_GENERATION) &&
	       give(ctx, slot);
}

/* Sets the ID's length; 0 if the header is not whole, or not of a packet for a server. */
static __always_inline int read_long(struct sk_reuseport_md *ctx, __u32 len, __u32 *length)
{
	__u8 head[LONG_HEAD];
	__u32 version;

	if (len < LONG_LEAST || bpf_skb_load_bytes(ctx, UDP_HEADER, head, sizeof(head)))
		return 0;
	version = (__u32)head[1] << 24 | (__u32)head[2] << 16 | (__u32)head[3] << 8 | head[4];
	*length = head[5];
	return version != VERSION_NEGOTIATION && len - LONG_LEAST >= *length;
}

/* What the datagram is; if QS_STEER_STEERED, its socket is selected. */
static __always_inline enum qs_steer_count judge(struct sk_reuseport_md *ctx,
						 const struct qs_steer_table *table)
{
	__u32 len = ctx->len, length = CID_LEN, offset = UDP_HEADER + SHORT_HEAD;
	enum qs_steer_count foreign = QS_STEER_UNKNOWN;
	__u8 first, cid[CID_HEAD];

	if (len <= UDP_HEADER || bpf_skb_load_bytes(ctx, UDP_HEADER, &first, sizeof(first)))
		return QS_STEER_UNKNOWN;
	len -= UDP_HEADER;
	if (first & LONG_HEADER) {
		if (!read_long(ctx, len, &length))
			return QS_STEER_UNKNOWN;
		foreign = QS_STEER_NEW;
		offset = UDP_HEADER + LONG_HEAD;
	} else if (len < SHORT_HEAD + CID_LEN) {
		return QS_STEER_UNKNOWN;
	}
	if (length != CID_LEN || bpf_skb_load_bytes(ctx, offset, cid, sizeof(cid)) ||
	    !is_ours(table, cid))
		return foreign;
	return give_by_id(ctx, table, cid) ? QS_STEER_STEERED : QS_STEER_STRAY;
}

SEC("sk_reuseport")
int steer_select(struct sk_reuseport_md *ctx)
{
	struct qs_steer_table *table;
	struct qs_steer_counts *counts;
	enum qs_steer_count kind;
	__u32 key = 0;

	table = bpf_map_lookup_elem(&steer_table, &key);
	counts = bpf_map_lookup_elem(&steer_counts, &key);
	if (!table || !counts)
		return SK_PASS;
	kind = judge(ctx, table);
	if (kind != QS_STEER_STEERED)
		give_by_bucket(ctx, table, counts);
	/* Each at an offset that is known: without CAP_PERFMON no other is allowed. */
	counts->n[QS_STEER_STEERED] += kind == QS_STEER_STEERED;
	counts->n[QS_STEER_NEW] += kind == QS_STEER_NEW;
	counts->n[QS_STEER_UNKNOWN] += kind == QS_STEER_UNKNOWN;
	counts->n[QS_STEER_STRAY] += kind == QS_STEER_STRAY;
	return SK_PASS;
}
