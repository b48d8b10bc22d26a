/* SPDX-License-Identifier: MIT */
/* A reset is told by every call that moves bytes, not only by read and write: to a program it must not look like an end. */
#include "harness.h"

#include <sys/sendfile.h>

static int tube[2], file;
static char buffer[16];

/* An end of a connection that the peer has reset after it has written TEXT. */
static int reset_one(const char *text)
{
	struct linger none = {.l_onoff = 1};
	int pair[2];

	ct_pair(pair);
	if (*text) {
		CHECK(write(pair[1], text, strlen(text)) == (ssize_t)strlen(text));
		ct_await(pair[0], POLLIN);
	}
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(pair[1]);
	ct_await(pair[0], POLLERR | POLLHUP);
	return pair[0];
}

static void splices(void)
{
	int fd = reset_one("abc");

	TRY(splice(fd, NULL, tube[1], NULL, 16, 0));
	TRY(splice(fd, NULL, tube[1], NULL, 16, 0));
	TRY(splice(fd, NULL, tube[1], NULL, 16, 0));
	ct_so_error(fd);
	close(fd);
	fd = reset_one("");
	TRY(splice(fd, NULL, tube[1], NULL, 16, SPLICE_F_NONBLOCK));
	ct_so_error(fd);
	close(fd);
	fd = reset_one("");
	TRY(splice(tube[0], NULL, fd, NULL, 3, 0));
	TRY(splice(tube[0], NULL, fd, NULL, 3, 0));
	ct_so_error(fd);
	close(fd);
}

static void files(void)
{
	int fd = reset_one("");

	TRY(sendfile(fd, file, NULL, 5));
	TRY(sendfile(fd, file, NULL, 5));
	ct_so_error(fd);
	close(fd);
	fd = reset_one("");
	TRY(sendfile64(fd, file, &(off64_t){0}, 5));
	ct_so_error(fd);
	close(fd);
}

static void vectors(void)
{
	struct iovec iov = {buffer, sizeof(buffer)};
	int fd = reset_one("abc");

	TRY(preadv2(fd, &iov, 1, -1, 0));
	TRY(preadv2(fd, &iov, 1, -1, 0));
	TRY(preadv2(fd, &iov, 1, -1, 0));
	close(fd);
	fd = reset_one("");
	TRY(preadv64v2(fd, &iov, 1, -1, RWF_NOWAIT));
	TRY(preadv64v2(fd, &iov, 1, -1, RWF_NOWAIT));
	TRY(preadv2(fd, &iov, 1, 0, 0));
	close(fd);
	fd = reset_one("");
	TRY(pwritev2(fd, &iov, 1, -1, 0));
	TRY(pwritev2(fd, &iov, 1, -1, 0));
	TRY(pwritev64v2(fd, &iov, 1, 0, 0));
	close(fd);
}

/* recv() of nothing, where read() of nothing tells nothing. */
static void nothing(void)
{
	struct msghdr none = {0};
	int fd = reset_one("abc");

	TRY(read(fd, buffer, 0));
	TRY(recv(fd, buffer, 0, 0));
	TRY(recv(fd, buffer, sizeof(buffer), 0));
	TRY(read(fd, buffer, 0));
	TRY(recv(fd, buffer, 0, 0));
	TRY(recv(fd, buffer, 0, 0));
	close(fd);
	fd = reset_one("");
	TRY(recvfrom(fd, buffer, 0, MSG_DONTWAIT, NULL, NULL));
	close(fd);
	fd = reset_one("");
	TRY(recvmsg(fd, &none, MSG_PEEK));
	ct_so_error(fd);
	close(fd);
}

int main(void)
{
	ct_init();
	MUST(pipe(tube));
	file = MUST(open("file", O_CREAT | O_RDWR, 0600));
	CHECK(pwrite(file, "hello world", 11, 0) == 11);
	splices();
	files();
	vectors();
	nothing();
	return 0;
}
