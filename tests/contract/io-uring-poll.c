/* SPDX-License-Identifier: MIT */
/* io_uring, without a library: a poll request sees a non-blocking connect come up. */
#include "harness.h"
#include "ring.h"

static int ring_poll(struct ring *ring, int fd, unsigned events)
{
	struct io_uring_sqe *entry = ring_entry(ring);

	entry->opcode = IORING_OP_POLL_ADD;
	entry->fd = fd;
	entry->poll32_events = events;
	return ring_go(ring);
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
	ct_note("poll: %s", ct_event_names((uint32_t)ring_poll(&ring, fd, POLLOUT)));
	ct_so_error(fd);
	peer = ct_accept(listener);
	memcpy(word, "hello", 5);
	ct_note("send: %d", ring_do(&ring, IORING_OP_SEND, fd, word, 5));
	memset(word, 0, 5);
	ct_note("recv: %d %s", ring_do(&ring, IORING_OP_RECV, peer, word, 5), word);
	return 0;
}
