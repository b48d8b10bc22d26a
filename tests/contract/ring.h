/* SPDX-License-Identifier: MIT */
/* io_uring without a library, for the tests that need a ring. */
#ifndef QS_CONTRACT_RING_H
#define QS_CONTRACT_RING_H

#include "harness.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Newer than some <linux/io_uring.h>. */
#define RING_NO_MMAP (1u << 14)
#define RING_NUMBER_ONLY (1u << 15) /* IORING_SETUP_REGISTERED_FD_ONLY */
#define RING_ENTER_NUMBER (1u << 4) /* IORING_ENTER_REGISTERED_RING */

struct ring {
	int fd;
	unsigned enter; /* flags of each call */
	char *sq, *cq;
	struct io_uring_sqe *entries;
	struct io_uring_params params;
};

static inline void ring_own_memory(struct ring *ring)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;

	/* A page is enough for 4 entries of each kind, and for what leads them. */
	ring->sq = ring->cq = mmap(NULL, 4096, prot, flags, -1, 0);
	ring->entries = mmap(NULL, 4096, prot, flags, -1, 0);
	CHECK(ring->sq != MAP_FAILED && ring->entries != MAP_FAILED);
	/* user_addr, or resv2 in older headers: the last member of both. */
	memcpy((char *)(&ring->params.cq_off + 1) - sizeof(ring->sq), &ring->sq, sizeof(ring->sq));
	memcpy((char *)(&ring->params.sq_off + 1) - sizeof(ring->entries), &ring->entries,
	       sizeof(ring->entries));
}

static inline void ring_open_with(struct ring *ring, unsigned setup)
{
	struct io_uring_params *p = &ring->params;
	int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;

	memset(ring, 0, sizeof(*ring));
	p->flags = setup;
	p->sq_thread_idle = 50;
	if (setup & RING_NO_MMAP)
		ring_own_memory(ring);
	ring->fd = (int)syscall(SYS_io_uring_setup, 4, p);
	if (ring->fd < 0)
		ct_skip(setup ? "this kernel has no such ring" : "io_uring is not to be had here");
	CHECK(p->flags == setup);
	if (setup & RING_NUMBER_ONLY)
		ring->enter = RING_ENTER_NUMBER;
	if (setup & RING_NO_MMAP)
		return;
	ring->sq = mmap(NULL, p->sq_off.array + p->sq_entries * 4, prot, flags, ring->fd,
			IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), prot,
			flags, ring->fd, IORING_OFF_CQ_RING);
	ring->entries = mmap(NULL, p->sq_entries * sizeof(*ring->entries), prot, flags, ring->fd,
			     IORING_OFF_SQES);
	CHECK(ring->sq != MAP_FAILED && ring->cq != MAP_FAILED && ring->entries != MAP_FAILED);
}

static inline void ring_open(struct ring *ring)
{
	ring_open_with(ring, 0);
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

/* What was written at the tail goes to the kernel, which may be looking already; and until something is done. */
static inline void ring_enter(struct ring *ring)
{
	unsigned *flags = (unsigned *)(void *)(ring->sq + ring->params.sq_off.flags);
	bool polled = ring->params.flags & IORING_SETUP_SQPOLL;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (polled && (__atomic_load_n(flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP))
		MUST((int)syscall(SYS_io_uring_enter, ring->fd, 0, 0,
				  IORING_ENTER_SQ_WAKEUP | ring->enter, NULL, 0));
	CHECK(syscall(SYS_io_uring_enter, ring->fd, polled ? 0 : 1, 1,
		      IORING_ENTER_GETEVENTS | ring->enter, NULL, 0) == (polled ? 0 : 1));
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
	ring_enter(ring);
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

/* Connect, accept, and an echo on the ring. */
static inline void ring_play(struct ring *ring)
{
	int listener = ct_listener(AF_INET, 5), fd = ct_socket(AF_INET, 0), peer;
	struct ct_addr addr = ct_local(listener);
	char word[8] = "hello";

	ct_note("connect: %d", ring_connect(ring, fd, &addr));
	ct_prove(fd);
	peer = ring_do(ring, IORING_OP_ACCEPT, listener, NULL, 0);
	CHECK(peer >= 0);
	ct_prove(peer);
	ct_note("send: %d", ring_do(ring, IORING_OP_SEND, fd, word, 5));
	memset(word, 0, 5);
	ct_note("recv: %d %s", ring_do(ring, IORING_OP_RECV, peer, word, 5), word);
	close(peer);
	close(fd);
	fd = ct_socket(AF_INET, 0);
	addr = ct_loopback(AF_INET, ct_closed_port());
	ct_note("refused: %d", ring_connect(ring, fd, &addr) == -ECONNREFUSED);
	close(fd);
	close(listener);
}

#endif
