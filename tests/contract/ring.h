/* SPDX-License-Identifier: MIT */
/* io_uring without a library, for the tests that need a ring. */
#ifndef QS_CONTRACT_RING_H
#define QS_CONTRACT_RING_H

#include "harness.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct ring {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static inline void ring_open(struct ring *ring)
{
	struct io_uring_params *p = &ring->params;
	int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;

	memset(p, 0, sizeof(*p));
	ring->fd = (int)syscall(SYS_io_uring_setup, 4, p);
	if (ring->fd < 0)
		ct_skip("io_uring is not to be had here");
	ring->sq = mmap(NULL, p->sq_off.array + p->sq_entries * 4, prot, flags, ring->fd,
			IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), prot,
			flags, ring->fd, IORING_OFF_CQ_RING);
	ring->entries = mmap(NULL, p->sq_entries * sizeof(*ring->entries), prot, flags, ring->fd,
			     IORING_OFF_SQES);
	CHECK(ring->sq != MAP_FAILED && ring->cq != MAP_FAILED && ring->entries != MAP_FAILED);
}

/* The next entry, cleared. */
static inline struct io_uring_sqe *ring_entry(struct ring *ring)
{
	unsigned *tail = (unsigned *)(void *)(ring->sq + ring->params.sq_off.tail);
	unsigned *mask = (unsigned *)(void *)(ring->sq + ring->params.sq_off.ring_mask);
	struct io_uring_sqe *entry = &ring->entries[*tail & *mask];

	memset(entry, 0, sizeof(*entry));
	return entry;
}

/* Submits it, waits for it, and gives its result. */
static inline int ring_go(struct ring *ring)
{
	unsigned *tail = (unsigned *)(void *)(ring->sq + ring->params.sq_off.tail);
	unsigned *mask = (unsigned *)(void *)(ring->sq + ring->params.sq_off.ring_mask);
	unsigned *array = (unsigned *)(void *)(ring->sq + ring->params.sq_off.array);
	unsigned *head = (unsigned *)(void *)(ring->cq + ring->params.cq_off.head);
	unsigned *cq_mask = (unsigned *)(void *)(ring->cq + ring->params.cq_off.ring_mask);
	struct io_uring_cqe *done =
		(struct io_uring_cqe *)(void *)(ring->cq + ring->params.cq_off.cqes);
	int result;

	array[*tail & *mask] = *tail & *mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	result = done[*head & *cq_mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static inline int ring_do(struct ring *ring, int op, int fd, void *buffer, unsigned size)
{
	struct io_uring_sqe *entry = ring_entry(ring);

	entry->opcode = (unsigned char)op;
	entry->fd = fd;
	entry->addr = (uint64_t)(uintptr_t)buffer;
	entry->len = size;
	return ring_go(ring);
}

static inline int ring_connect(struct ring *ring, int fd, const struct ct_addr *addr)
{
	struct io_uring_sqe *entry = ring_entry(ring);

	entry->opcode = IORING_OP_CONNECT;
	entry->fd = fd;
	entry->addr = (uint64_t)(uintptr_t)&addr->ss;
	entry->off = addr->len;
	return ring_go(ring);
}

#endif
