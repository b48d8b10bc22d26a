/* SPDX-License-Identifier: MIT */
/* ENOTCONN where TCP says so: before connect, on a listener, after a failure, for each call. */
#include "harness.h"

static void ask(int fd, const char *name)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};
	char byte;

	ct_note("%s", name);
	TRY(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(recv(fd, &byte, 1, 0));
	TRY(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
	TRY(recvmsg(fd, &(struct msghdr){.msg_iov = &(struct iovec){&byte, 1}, .msg_iovlen = 1},
		    0));
	TRY(send(fd, &byte, 1, MSG_NOSIGNAL));
	ct_so_error(fd);
	TRY(shutdown(fd, SHUT_RD));
	TRY(shutdown(fd, SHUT_WR));
}

int main(void)
{
	struct ct_addr closed;
	int fd;

	ct_init();
	ct_listener(AF_INET, 5);
	ask(ct_socket(AF_INET, 0), "fresh");
	closed = ct_loopback(AF_INET, ct_closed_port());
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&closed)));
	ask(fd, "refused");
	return 0;
}
