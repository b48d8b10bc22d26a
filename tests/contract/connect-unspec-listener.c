/* SPDX-License-Identifier: MIT */
/* connect(AF_UNSPEC) on a listener: it listens no more, keeps its address, and may listen again. */
#include "harness.h"

int main(void)
{
	struct ct_addr none = {.ss.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};
	struct ct_addr addr;
	int reserved, port, listener, fd;

	ct_init();
	reserved = ct_bound(AF_INET);
	port = ct_port(reserved);
	close(reserved);
	addr = ct_loopback(AF_INET, port);
	listener = ct_socket(AF_INET, 0);
	CHECK(bind(listener, SA(&addr)) == 0);
	CHECK(listen(listener, 5) == 0);
	ct_prove(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&addr)));
	TRY(close(fd));
	for (int i = 0; i < 2; i++) {
		TRY(connect(listener, SA(&none)));
		ct_note("its port %d", ct_port(listener) == port);
		ct_refused(&addr);
		TRY(accept(listener, NULL, NULL));
		TRY(listen(listener, 5));
		ct_note("its port %d", ct_port(listener) == port);
		fd = ct_socket(AF_INET, 0);
		TRY(connect(fd, SA(&addr)));
		TRY(write(fd, "hello", 5));
		close(fd);
		fd = MUST(accept(listener, NULL, NULL));
		TRY(ct_read_full(fd, (char[8]){0}, 5));
		close(fd);
	}
	return 0;
}
