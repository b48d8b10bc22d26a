/* SPDX-License-Identifier: MIT */
/* A client that bound the wildcard address and no port, as many do: it connects as without. */
#include "harness.h"

static void visit(int family, const char *any, const char *name)
{
	struct ct_addr mine = ct_addr_of(any, 0), server;
	int listener = ct_listener(family, 5), fd = ct_socket(family, 0), on = 1, peer;

	server = ct_local(listener);
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	MUST(bind(fd, SA(&mine)));
	MUST(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = ct_accept(listener);
	mine = ct_local(fd);
	ct_name_port(ct_addr_port(&mine), "MINE");
	ct_note("%s: local %s", name, ct_addr_text(&mine));
	mine = ct_remote(peer);
	ct_note("%s: seen %s", name, ct_addr_text(&mine));
	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_note("%s: read %d", name, (int)ct_read_full(peer, (char[8]){0}, 5));
	close(fd);
	close(peer);
	close(listener);
}

int main(void)
{
	ct_init();
	visit(AF_INET, "0.0.0.0", "IPv4");
	visit(AF_INET6, "::", "IPv6");
	return 0;
}
