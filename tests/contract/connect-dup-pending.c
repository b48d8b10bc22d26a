/* SPDX-License-Identifier: MIT */
/* A descriptor that is duplicated while it connects: both are the same connection. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr;
	int listener, fd, other, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&addr)));
	other = MUST(dup(fd));
	ct_prove(other);
	TRY(close(fd));
	ct_poll(other, POLLOUT, CT_LONG_MS);
	ct_so_error(other);
	TRY(connect(other, SA(&addr)));
	TRY(connect(other, SA(&addr)));
	peer = ct_accept(listener);
	TRY(write(other, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	TRY(close(other));
	TRY(read(peer, (char[8]){0}, 1));
	return 0;
}
