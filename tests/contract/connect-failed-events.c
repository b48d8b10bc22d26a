/* SPDX-License-Identifier: MIT */
/* What poll says of a connect that failed, when the errno has been told by a write, a read or SO_ERROR. */
#include "harness.h"

static int failed(const struct ct_addr *closed)
{
	int fd = ct_socket(AF_INET, SOCK_NONBLOCK);

	CHECK(connect(fd, (const struct sockaddr *)&closed->ss, closed->len) < 0 &&
	      errno == EINPROGRESS);
	ct_prove(fd);
	ct_events(fd, POLLOUT | POLLERR | POLLHUP);
	return fd;
}

static void show(int fd)
{
	ct_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 0);
	ct_poll(fd, 0, 0);
}

int main(void)
{
	struct ct_addr closed;
	char octet = 'x';
	int fd;

	ct_init();
	closed = ct_loopback(AF_INET, ct_closed_port());
	fd = failed(&closed);
	TRY(write(fd, &octet, 1));
	show(fd);
	TRY(read(fd, &octet, 1));
	fd = failed(&closed);
	TRY(read(fd, &octet, 1));
	show(fd);
	TRY(write(fd, &octet, 1));
	fd = failed(&closed);
	ct_so_error(fd);
	show(fd);
	return 0;
}
