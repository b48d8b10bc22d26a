/* SPDX-License-Identifier: MIT */
/* A non-blocking listener: EAGAIN, POLLIN when somebody is there, EAGAIN again. */
#include "harness.h"

int main(void)
{
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_nonblock(listener, true);
	TRY(accept(listener, NULL, NULL));
	ct_poll(listener, POLLIN | POLLOUT, 0);
	fd = ct_connect(AF_INET, ct_port(listener));
	ct_poll(listener, POLLIN | POLLOUT, CT_LONG_MS);
	peer = ct_accept(listener);
	ct_poll(listener, POLLIN | POLLOUT, 0);
	TRY(accept(listener, NULL, NULL));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
