/* SPDX-License-Identifier: MIT */
/* io_uring, without a library: a poll request sees a non-blocking connect come up. */
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

static void ring_open(struct ring *ring)
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

/* One request, waited for. */
static int ring_do(struct ring *ring, int op, int fd, unsigned events, void *buffer, unsigned size)
{
	unsigned *tail = (unsigned *)(void *)(ring->sq + ring->params.sq_off.tail);
	unsigned *mask = (unsigned *)(void *)(ring->sq + ring->params.sq_off.ring_mask);
	unsigned *array = (unsigned *)(void *)(ring->sq + ring->params.sq_off.array);
	unsigned *head = (unsigned *)(void *)(ring->cq + ring->params.cq_off.head);
	unsigned *cq_mask = (unsigned *)(void *)(ring->cq + ring->params.cq_off.ring_mask);
	struct io_uring_cqe *done =
		(struct io_uring_cqe *)(void *)(ring->cq + ring->params.cq_off.cqes);
	unsigned index = *tail & *mask;
	struct io_uring_sqe *entry = &ring->entries[index];
	int result;

	memset(entry, 0, sizeof(*entry));
	entry->opcode = (unsigned char)op;
	entry->fd = fd;
	entry->addr = (uint64_t)(uintptr_t)buffer;
	entry->len = size;
	entry->poll32_events = events;
	array[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	result = done[*head & *cq_mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

int main(void)
{
	struct ct_addr addr;
	struct ring ring;
	int listener, fd, peer;
	char word[8] = {0};

	ct_init();
	ring_open(&ring);
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&addr)));
	ct_prove(fd);
	ct_note("poll: %s",
		ct_event_names((uint32_t)ring_do(&ring, IORING_OP_POLL_ADD, fd, POLLOUT, NULL, 0)));
	ct_so_error(fd);
	peer = ct_accept(listener);
	memcpy(word, "hello", 5);
	ct_note("send: %d", ring_do(&ring, IORING_OP_SEND, fd, 0, word, 5));
	memset(word, 0, 5);
	ct_note("recv: %d %s", ring_do(&ring, IORING_OP_RECV, peer, 0, word, 5), word);
	return 0;
}
