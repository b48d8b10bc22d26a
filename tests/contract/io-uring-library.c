/* SPDX-License-Identifier: MIT */
/* liburing, which enters the kernel by itself: connect with a linked send, accept, with and without
 * a polling thread; and a connect on a registered file, which must not go out in the clear. */
#include "harness.h"

#include <liburing.h>

static int listener;

static int wait_one(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result;

	MUST(io_uring_wait_cqe(ring, &cqe));
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static void play(unsigned flags)
{
	struct ct_addr server = ct_local(listener);
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fd = ct_socket(AF_INET, 0), peer;
	char word[8] = {0};

	if (io_uring_queue_init(8, &ring, flags) < 0)
		ct_skip("io_uring is not to be had here");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, fd, SA(&server));
	sqe->flags |= IOSQE_IO_LINK;
	io_uring_prep_send(io_uring_get_sqe(&ring), fd, "hello", 5, 0);
	ct_note("submit %d", io_uring_submit(&ring));
	ct_note("connect %d", wait_one(&ring));
	ct_note("send %d", wait_one(&ring));
	ct_prove(fd);
	io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
	MUST(io_uring_submit_and_wait(&ring, 1));
	peer = wait_one(&ring);
	CHECK(peer >= 0);
	ct_prove(peer);
	io_uring_prep_recv(io_uring_get_sqe(&ring), peer, word, 5, 0);
	MUST(io_uring_submit(&ring));
	ct_note("recv %d %s", wait_one(&ring), word);
	/* As a reset is seen by who asks libc. */
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			sizeof(struct linger)));
	close(fd);
	TRY(read(peer, word, 1));
	close(peer);
	io_uring_queue_exit(&ring);
}

static void registered(void)
{
	struct ct_addr server = ct_local(listener);
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	int fd = ct_socket(AF_INET, 0), result;

	MUST(io_uring_queue_init(8, &ring, 0));
	MUST(io_uring_register_files(&ring, &fd, 1));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, 0, SA(&server));
	sqe->flags |= IOSQE_FIXED_FILE;
	MUST(io_uring_submit(&ring));
	result = wait_one(&ring);
	ct_note("registered as it must %d",
		result == (getenv("QS_EXPECT_MAPPED") != NULL ? -EACCES : 0));
	io_uring_queue_exit(&ring);
}

int main(void)
{
	ct_init();
	listener = ct_listener(AF_INET, 5);
	play(0);
	play(IORING_SETUP_SQPOLL);
	registered();
	return 0;
}
