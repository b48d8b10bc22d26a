/* SPDX-License-Identifier: MIT */
/* io_uring by number in the program's own memory (Linux 6.5), with a descriptor and without one. */
#include "harness.h"
#include "ring.h"

/* Connect, accept, and an echo on the ring. */
static void play(struct ring *ring)
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

int main(void)
{
	struct ring ring;

	ct_init();
	ring_open_with(&ring, RING_NO_MMAP);
	play(&ring);
	close(ring.fd);
	ring_open_with(&ring, RING_NO_MMAP | RING_NUMBER_ONLY);
	play(&ring);
	ring_open_with(&ring, RING_NO_MMAP | RING_NUMBER_ONLY | IORING_SETUP_SQPOLL);
	play(&ring);
	return 0;
}
