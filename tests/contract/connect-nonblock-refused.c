/* SPDX-License-Identifier: MIT */
/* A non-blocking connect that fails: the events, SO_ERROR once, and what I/O says. */
#include "harness.h"

int main(void)
{
	struct ct_addr closed;
	char byte;
	int fd;

	ct_init();
	closed = ct_loopback(AF_INET, ct_closed_port());
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&closed)));
	ct_prove(fd);
	ct_events(fd, POLLOUT | POLLERR | POLLHUP);
	ct_so_error(fd);
	ct_so_error(fd);
	TRY(read(fd, &byte, 1));
	TRY(write(fd, "x", 1));
	close(fd);

	/* The errno can also be taken by a second connect, or by a read. */
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&closed)));
	ct_events(fd, POLLERR | POLLHUP);
	TRY(connect(fd, SA(&closed)));
	close(fd);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&closed)));
	ct_events(fd, POLLERR | POLLHUP);
	TRY(read(fd, &byte, 1));
	ct_so_error(fd);
	close(fd);
	return 0;
}
