/* SPDX-License-Identifier: MIT */
/* After a failed connect the socket is an ordinary one: options, names, bind and listen serve. */
#include "harness.h"

int main(void)
{
	struct ct_addr closed, addr = {.len = sizeof(addr.ss)};
	int fd, client, on = 1;

	ct_init();
	closed = ct_loopback(AF_INET, ct_closed_port());
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&closed)));
	TRY(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	TRY(read(fd, (char[8]){0}, 1));
	TRY(accept(fd, NULL, NULL));
	ct_so_error(fd);
	TRY(listen(fd, 5));
	ct_prove(fd);
	addr = ct_local(fd);
	ct_note("port is set: %d", ct_addr_port(&addr) != 0);
	client = ct_connect(AF_INET, ct_addr_port(&addr));
	TRY(ct_write_full(client, "hello", 5));
	TRY(ct_read_full(ct_accept(fd), (char[8]){0}, 5));
	return 0;
}
