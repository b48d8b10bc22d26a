/* SPDX-License-Identifier: MIT */
/* A second server can't have the port: EADDRINUSE; it can when the first has closed. */
#include "harness.h"

static int bind_to(struct ct_addr addr, bool reuse)
{
	int fd = ct_socket(AF_INET, 0), on = reuse;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	TRY(bind(fd, SA(&addr)));
	return fd;
}

int main(void)
{
	struct ct_addr addr, any;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	any = ct_addr_of("0.0.0.0", ct_port(listener));
	close(bind_to(addr, false));
	close(bind_to(any, false));
	close(listener);

	fd = bind_to(addr, true);
	TRY(listen(fd, 5));
	ct_prove(fd);
	TRY(connect(ct_socket(AF_INET, 0), SA(&addr)));
	return 0;
}
