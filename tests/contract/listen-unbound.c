/* SPDX-License-Identifier: MIT */
/* listen without bind: a port on the wildcard address, IPv4 and IPv6. */
#include "harness.h"

static void visit(int family)
{
	int listener = ct_socket(family, 0), fd;
	struct ct_addr addr;

	TRY(listen(listener, 5));
	ct_prove(listener);
	addr = ct_local(listener);
	ct_note("listening at %s", ct_addr_text(&addr));
	fd = ct_connect(family, ct_addr_port(&addr));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	close(fd);
}

int main(void)
{
	ct_init();
	visit(AF_INET);
	visit(AF_INET6);
	return 0;
}
