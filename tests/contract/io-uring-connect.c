/* SPDX-License-Identifier: MIT */
/* io_uring by number: connect, accept, send and receive on a ring; a refused connect. */
#include "harness.h"
#include "ring.h"

int main(void)
{
	struct ct_addr addr, closed;
	struct ring ring;
	int listener, fd, peer;
	char word[8] = "hello";

	ct_init();
	ring_open(&ring);
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	ct_name_port(ct_port(listener), "SERVER");
	for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
		fd = ct_socket(AF_INET, flags);
		ct_note("connect: %d", ring_connect(&ring, fd, &addr));
		ct_prove(fd);
		ct_note("flags %s", fcntl(fd, F_GETFL) & O_NONBLOCK ? "non-blocking" : "blocking");
		peer = ring_do(&ring, IORING_OP_ACCEPT, listener, NULL, 0);
		CHECK(peer >= 0);
		ct_note("send: %d", ring_do(&ring, IORING_OP_SEND, fd, word, 5));
		memset(word, 0, 5);
		ct_note("recv: %d %s", ring_do(&ring, IORING_OP_RECV, peer, word, 5), word);
		/* What the kernel accepted unseen is known for what it is. */
		addr = ct_local(peer);
		ct_note("local %s", ct_addr_text(&addr));
		addr = ct_remote(peer);
		ct_note("remote is ours %d", ct_addr_port(&addr) == ct_port(fd));
		ct_prove(peer);
		close(fd);
		ct_note("end: %d", ring_do(&ring, IORING_OP_RECV, peer, word, 5));
		close(peer);
		addr = ct_local(listener);
	}
	fd = ct_socket(AF_INET, 0);
	closed = ct_loopback(AF_INET, ct_closed_port());
	ct_note("refused: %d", ring_connect(&ring, fd, &closed) == -ECONNREFUSED);
	/* The next attempt on the same socket. */
	ct_note("connect: %d", ring_connect(&ring, fd, &addr));
	ct_prove(fd);
	return 0;
}
