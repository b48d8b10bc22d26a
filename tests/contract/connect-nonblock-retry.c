/* SPDX-License-Identifier: MIT */
/* After a failed non-blocking connect (and one ECONNABORTED) the descriptor connects elsewhere. */
#include "harness.h"

int main(void)
{
	struct ct_addr closed, open;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	open = ct_local(listener);
	closed = ct_loopback(AF_INET, ct_closed_port());
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&closed)));
	ct_await(fd, POLLOUT);
	ct_so_error(fd);
	TRY(connect(fd, SA(&open)));
	TRY(connect(fd, SA(&open)));
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	ct_so_error(fd);
	ct_prove(fd);
	TRY(write(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
