/* SPDX-License-Identifier: MIT */
/* io_uring by number: a ring asks for a number (Linux 5.18), and does without where it gets none. */
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
	struct io_uring_rsrc_update update = {.offset = ~0u};
	long rc;

	ct_init();
	ring_open(&ring);
	update.data = (uint64_t)ring.fd;
	rc = syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_RING_FDS, &update, 1);
	if (rc < 0 && getenv("QS_EXPECT_MAPPED") == NULL)
		ct_skip("this kernel registers no rings");
	ct_note("registered as it must %d",
		getenv("QS_EXPECT_MAPPED") != NULL ? rc == -1 && errno == EINVAL : rc == 1);
	if (rc == 1) {
		ring.fd = (int)update.offset;
		ring.enter = RING_ENTER_NUMBER;
	}
	play(&ring);
	return 0;
}
