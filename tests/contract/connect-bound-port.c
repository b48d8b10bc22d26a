/* SPDX-License-Identifier: MIT */
/* A client that bound a port: getsockname gives that port before and after connect. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, mine;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_bound(AF_INET);
	mine = ct_local(fd);
	ct_name_port(ct_addr_port(&mine), "MINE");
	ct_note("before %s", ct_addr_text(&mine));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	mine = ct_local(fd);
	ct_note("after %s", ct_addr_text(&mine));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
