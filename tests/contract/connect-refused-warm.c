/* SPDX-License-Identifier: MIT */
/* A listener that served before is gone: the next connect is refused, by connect itself. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr;
	int listener, first, peer, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	first = ct_connect(AF_INET, ct_port(listener));
	peer = ct_accept(listener);
	TRY(close(listener));
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&addr)));
	ct_refused(&addr);
	TRY(ct_write_full(first, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
