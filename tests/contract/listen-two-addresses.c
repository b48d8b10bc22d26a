/* SPDX-License-Identifier: MIT */
/* One port on two addresses, and an IPv6-only listener beside them: each serves its own. */
#include "harness.h"

static int listen_at(const char *address, int port)
{
	struct ct_addr addr = ct_addr_of(address, port);
	int fd = ct_socket(addr.ss.ss_family, 0), on = 1;

	if (addr.ss.ss_family == AF_INET6)
		MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	MUST(bind(fd, SA(&addr)));
	MUST(listen(fd, 5));
	ct_prove(fd);
	return fd;
}

static void visit(int listener, const char *address, int port)
{
	struct ct_addr addr = ct_addr_of(address, port);
	int fd = ct_socket(addr.ss.ss_family, 0), peer;
	char word[8];

	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	peer = ct_accept(listener);
	addr = ct_local(peer);
	CHECK(ct_write_full(peer, "hello", 5) == 5);
	ct_note("%s: read %d, server at %s", address, (int)ct_read_full(fd, word, 5),
		ct_addr_text(&addr));
	close(fd);
	close(peer);
}

int main(void)
{
	int first, second, third, port;

	ct_init();
	first = listen_at("127.0.0.1", 0);
	port = ct_port(first);
	ct_name_port(port, "SERVER");
	second = listen_at("127.0.0.2", port);
	third = listen_at("::1", port);
	visit(first, "127.0.0.1", port);
	visit(second, "127.0.0.2", port);
	visit(third, "::1", port);
	TRY(close(first));
	visit(second, "127.0.0.2", port);
	visit(third, "::1", port);
	return 0;
}
