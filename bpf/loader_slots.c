/* SPDX-License-Identifier: MIT */
/* The members of a reuseport group: claiming slots, and sharing out buckets with few moves. */

/*
 * The table is one page of memory that all members and the program see. Two rules make it safe
 * without a lock, so that nobody has to clean up after a process that was killed:
 * - A slot's word is written only by the owner of the socket in it. The kernel decides who that is
 *   (BPF_NOEXIST), and takes the socket out when it is closed. So a slot whose word says "accepting"
 *   may have no socket: only the map knows. An owner that leaves sets its word first and leaves the
 *   map last, since the next owner may come at once.
 * - A bucket is one word, changed by compare and swap only. Two members that settle at the same time
 *   see each other's moves as failed swaps, and count again.
 */
#include "loader.h"
#include "loader_parts.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

/* How often settling begins anew because others moved buckets meanwhile. */
#define SETTLE_TRIES 16

static uint32_t load_word(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store_word(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* 0: the slot has no socket. */
static uint64_t slot_cookie(const struct qs_steer *steer, uint32_t slot)
{
	uint64_t cookie = 0;

	return bpf_map_lookup_elem(steer->slots_fd, &slot, &cookie) ? 0 : cookie;
}

static int take_slot(const struct qs_steer *steer, int fd, uint32_t slot)
{
	uint64_t value = (uint64_t)fd;

	return bpf_map_update_elem(steer->slots_fd, &slot, &value, BPF_NOEXIST) ? -errno : 0;
}

/* It is ours now: draining, in this generation. */
static void enter_slot(const struct qs_steer *steer, const struct qs_steer_member *member)
{
	struct qs_steer_slot *entry = &steer->table->slots[member->slot];

	store_word(&entry->pid, (uint32_t)getpid());
	store_word(&entry->word, qs_steer_slot_word(QS_STEER_DRAINING, member->generation));
}

int qs_steer_claim_at(const struct qs_steer *steer, int fd, const struct qs_steer_member *want)
{
	int result;

	if (steer->read_only)
		return -EACCES;
	if (want->slot >= QS_STEER_SLOTS)
		return -EINVAL;
	result = take_slot(steer, fd, want->slot);
	if (result == 0)
		enter_slot(steer, want);
	return result;
}

int qs_steer_claim(const struct qs_steer *steer, int fd, struct qs_steer_member *out)
{
	int result;

	if (steer->read_only)
		return -EACCES;
	for (uint32_t slot = 0; slot < QS_STEER_SLOTS; slot++) {
		result = take_slot(steer, fd, slot);
		if (result == 0) {
			uint32_t word = load_word(&steer->table->slots[slot].word);

			out->slot = (uint16_t)slot;
			out->generation = (uint16_t)(qs_steer_slot_generation(word) + 1);
			enter_slot(steer, out);
			return 0;
		}
		if (result != -EEXIST)
			return result;
	}
	return -ENOSPC;
}

/* One look at who accepts, and at who has which bucket. */
struct balance {
	uint16_t accepting[QS_STEER_SLOTS];
	unsigned n_accepting;
	int share[QS_STEER_SLOTS]; /* buckets of a slot; -1: it does not accept */
	int least_share; /* what everybody gets: a few get one more */
	uint32_t buckets[QS_STEER_BUCKETS];
};

static bool accepts(const struct balance *b, uint16_t slot)
{
	return slot < QS_STEER_SLOTS && b->share[slot] >= 0;
}

static void balance_read(struct balance *b, const struct qs_steer *steer)
{
	b->n_accepting = 0;
	for (uint32_t slot = 0; slot < QS_STEER_SLOTS; slot++) {
		uint32_t word = load_word(&steer->table->slots[slot].word);

		b->share[slot] = -1;
		if (qs_steer_slot_state(word) == QS_STEER_ACCEPTING && slot_cookie(steer, slot)) {
			b->accepting[b->n_accepting++] = (uint16_t)slot;
			b->share[slot] = 0;
		}
	}
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++) {
		b->buckets[i] = load_word(&steer->table->buckets[i]);
		if (accepts(b, qs_steer_bucket_slot(b->buckets[i])))
			b->share[qs_steer_bucket_slot(b->buckets[i])]++;
	}
	b->least_share = b->n_accepting ? QS_STEER_BUCKETS / (int)b->n_accepting : 0;
}

static uint16_t poorest(const struct balance *b)
{
	uint16_t found = b->accepting[0];

	for (unsigned i = 1; i < b->n_accepting; i++) {
		if (b->share[b->accepting[i]] < b->share[found])
			found = b->accepting[i];
	}
	return found;
}

static uint16_t richest(const struct balance *b)
{
	uint16_t found = b->accepting[0];

	for (unsigned i = 1; i < b->n_accepting; i++) {
		if (b->share[b->accepting[i]] > b->share[found])
			found = b->accepting[i];
	}
	return found;
}

/* False if somebody else changed it meanwhile. */
static bool move(struct balance *b, const struct qs_steer *steer, unsigned bucket, uint16_t to)
{
	uint32_t old = b->buckets[bucket];
	uint16_t from = qs_steer_bucket_slot(old);
	uint32_t new = qs_steer_bucket_word(to, from);

	if (!__atomic_compare_exchange_n(&steer->table->buckets[bucket], &old, new, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	b->buckets[bucket] = new;
	b->share[to]++;
	if (accepts(b, from))
		b->share[from]--;
	return true;
}

/* The next one that a slot has, which has one. The step is odd, so it meets each bucket, scattered. */
static unsigned next_bucket(const struct balance *b, unsigned bucket, uint16_t slot)
{
	do {
		bucket = (bucket + 101) % QS_STEER_BUCKETS;
	} while (qs_steer_bucket_slot(b->buckets[bucket]) != slot);
	return bucket;
}

/* Adds to *moved; false if it must begin anew. */
static bool settle_once(struct balance *b, const struct qs_steer *steer, int *moved)
{
	unsigned bucket = 0;

	balance_read(b, steer);
	if (b->n_accepting == 0)
		return true;
	/* Whoever had a bucket before may still have half a flight of it: rather back to them. */
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++) {
		uint16_t previous = qs_steer_bucket_previous(b->buckets[i]);
		uint16_t to = poorest(b);

		if (accepts(b, qs_steer_bucket_slot(b->buckets[i])))
			continue;
		if (accepts(b, previous) && b->share[previous] < b->least_share)
			to = previous;
		if (!move(b, steer, i, to))
			return false;
		++*moved;
	}
	for (;;) {
		uint16_t from = richest(b), to = poorest(b);

		if (b->share[from] - b->share[to] <= 1)
			return true;
		bucket = next_bucket(b, bucket, from);
		if (!move(b, steer, bucket, to))
			return false;
		++*moved;
	}
}

int qs_steer_settle(const struct qs_steer *steer)
{
	struct balance balance;
	int moved = 0;

	if (steer->read_only)
		return -EACCES;
	for (int i = 0; i < SETTLE_TRIES; i++) {
		if (settle_once(&balance, steer, &moved))
			break;
	}
	return moved;
}

/* -ESTALE if the slot went to somebody else. */
static int check(const struct qs_steer *steer, const struct qs_steer_member *member)
{
	uint32_t word;

	if (steer->read_only)
		return -EACCES;
	if (member->slot >= QS_STEER_SLOTS)
		return -EINVAL;
	word = load_word(&steer->table->slots[member->slot].word);
	if (qs_steer_slot_state(word) == QS_STEER_FREE ||
	    qs_steer_slot_generation(word) != member->generation)
		return -ESTALE;
	return 0;
}

int qs_steer_set(const struct qs_steer *steer, const struct qs_steer_member *member,
		 enum qs_steer_state state)
{
	int result = check(steer, member);

	if (result)
		return result;
	if (state != QS_STEER_DRAINING && state != QS_STEER_ACCEPTING)
		return -EINVAL;
	store_word(&steer->table->slots[member->slot].word,
		   qs_steer_slot_word(state, member->generation));
	return qs_steer_settle(steer);
}

int qs_steer_release(const struct qs_steer *steer, const struct qs_steer_member *member)
{
	int result = check(steer, member);
	uint32_t slot = member->slot;
	int moved;

	if (result)
		return result;
	store_word(&steer->table->slots[slot].word,
		   qs_steer_slot_word(QS_STEER_FREE, member->generation));
	moved = qs_steer_settle(steer);
	if (bpf_map_delete_elem(steer->slots_fd, &slot) && errno != ENOENT)
		return -errno;
	return moved;
}

int qs_steer_slot_view(const struct qs_steer *steer, unsigned slot, struct qs_steer_slot_view *out)
{
	uint32_t word;

	if (slot >= QS_STEER_SLOTS)
		return -EINVAL;
	word = load_word(&steer->table->slots[slot].word);
	*out = (struct qs_steer_slot_view){
		.state = (enum qs_steer_state)qs_steer_slot_state(word),
		.generation = qs_steer_slot_generation(word),
		.pid = load_word(&steer->table->slots[slot].pid),
		.cookie = slot_cookie(steer, slot),
	};
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++)
		out->buckets += qs_steer_bucket_slot(load_word(&steer->table->buckets[i])) == slot;
	return 0;
}

int qs_steer_bucket_view(const struct qs_steer *steer, unsigned bucket, uint16_t *slot,
			 uint16_t *previous)
{
	uint32_t word;

	if (bucket >= QS_STEER_BUCKETS)
		return -EINVAL;
	word = load_word(&steer->table->buckets[bucket]);
	*slot = qs_steer_bucket_slot(word);
	*previous = qs_steer_bucket_previous(word);
	return 0;
}
