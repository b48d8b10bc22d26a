/* SPDX-License-Identifier: MIT */
/* Descriptors closed while they connect leave nothing behind, and others connect meanwhile. */
#include "harness.h"

int main(void)
{
	struct ct_addr nobody, server;
	int listener, fd, first = -1;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	for (int i = 0; i < 20; i++) {
		fd = ct_socket(AF_INET, SOCK_NONBLOCK);
		CHECK(connect(fd, SA(&nobody)) == -1 && errno == EINPROGRESS);
		ct_prove(fd);
		if (first < 0)
			first = fd;
		if (fd != first || close(fd) != 0)
			ct_note("round %d: descriptor %d, not %d", i, fd, first);
	}
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
