/* SPDX-License-Identifier: MIT */
/* bind after a failed connect, and after a connection: TCP allows the one and not the other. */
#include "harness.h"

int main(void)
{
	struct ct_addr closed, server, mine;
	int fd, listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	closed = ct_loopback(AF_INET, ct_closed_port());
	mine = ct_addr_of("127.0.0.7", 0);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&closed)));
	TRY(bind(fd, SA(&mine)));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	mine = ct_remote(ct_accept(listener));
	ct_note("from 127.0.0.7: %d",
		((struct sockaddr_in *)&mine.ss)->sin_addr.s_addr == htonl(0x7f000007));
	mine = ct_addr_of("127.0.0.8", 0);
	TRY(bind(fd, SA(&mine)));
	TRY(listen(fd, 5));
	return 0;
}
