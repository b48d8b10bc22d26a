/* SPDX-License-Identifier: MIT */
/* bind to port 0, or no bind at all: getsockname knows the port, and clients reach it. */
#include "harness.h"

static void visit(int listener, const char *name)
{
	int fd = ct_connect(AF_INET, ct_port(listener));

	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_note("%s: %d bytes", name, (int)ct_read_full(ct_accept(listener), (char[8]){0}, 5));
}

int main(void)
{
	struct ct_addr before, after;
	int listener;

	ct_init();
	listener = ct_bound(AF_INET);
	before = ct_local(listener);
	TRY(listen(listener, 5));
	ct_prove(listener);
	after = ct_local(listener);
	ct_name_port(ct_addr_port(&before), "BOUND");
	ct_note("before %s after %s", ct_addr_text(&before), ct_addr_text(&after));
	visit(listener, "bound");

	listener = ct_socket(AF_INET, 0);
	before = ct_local(listener);
	TRY(listen(listener, 5));
	ct_prove(listener);
	after = ct_local(listener);
	ct_note("before %s after %s", ct_addr_text(&before), ct_addr_text(&after));
	visit(listener, "unbound");
	return 0;
}
