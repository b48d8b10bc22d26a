/* SPDX-License-Identifier: MIT */
/* listen again changes the backlog only; the connections that wait are still there. */
#include "harness.h"

int main(void)
{
	int listener, fd, port;

	ct_init();
	listener = ct_listener(AF_INET, 1);
	port = ct_port(listener);
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "first", 5));
	TRY(listen(listener, 10));
	ct_prove(listener);
	ct_note("same port %d", ct_port(listener) == port);
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "second", 6));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 6));
	TRY(listen(fd, 5));
	return 0;
}
