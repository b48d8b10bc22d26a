/* SPDX-License-Identifier: MIT */
/* O_NONBLOCK and FD_CLOEXEC, set in each way before connect, live through it; F_DUPFD, FIONBIO. */
#include "harness.h"

static void show(int fd, const char *name)
{
	ct_note("%s: nonblock %d cloexec %d access %d append %d", name,
		(fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, fcntl(fd, F_GETFD) & FD_CLOEXEC,
		fcntl(fd, F_GETFL) & O_ACCMODE, (fcntl(fd, F_GETFL) & O_APPEND) != 0);
}

int main(void)
{
	struct ct_addr addr;
	int listener, fd, other, on = 1, off = 0;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, SOCK_CLOEXEC);
	show(fd, "before");
	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	show(fd, "connected");
	TRY(ioctl(fd, FIONBIO, &on));
	show(fd, "FIONBIO");
	TRY(read(fd, (char[8]){0}, 1));
	TRY(ioctl(fd, FIONBIO, &off));
	show(fd, "FIONBIO off");
	other = (int)TRY(fcntl(fd, F_DUPFD, 50));
	ct_prove(other);
	show(other, "F_DUPFD");
	close(other);
	other = (int)TRY(fcntl(fd, F_DUPFD_CLOEXEC, 50));
	show(other, "F_DUPFD_CLOEXEC");
	TRY(lseek(fd, 0, SEEK_SET));
	TRY(fsync(fd));
	TRY(ftruncate(fd, 0));

	fd = ct_socket(AF_INET, 0);
	ct_nonblock(fd, true);
	connect(fd, SA(&addr));
	ct_await(fd, POLLOUT);
	show(fd, "non-blocking");
	fd = ct_bound(AF_INET);
	ct_nonblock(fd, true);
	MUST(fcntl(fd, F_SETFD, FD_CLOEXEC));
	MUST(listen(fd, 5));
	ct_prove(fd);
	show(fd, "listening");
	return 0;
}
