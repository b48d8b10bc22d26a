/* SPDX-License-Identifier: MIT */
/* A dual-stack listener serves IPv4 and IPv6 clients; addresses come in the listener's family. */
#include "harness.h"

static void visit(int listener, int family)
{
	struct ct_addr server = ct_loopback(family, ct_port(listener));
	struct ct_addr remote = {.len = sizeof(remote.ss)}, local;
	int fd = ct_socket(family, 0), peer;

	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	ct_name_port(ct_port(fd), "CLIENT");
	peer = MUST(accept(listener, (struct sockaddr *)&remote.ss, &remote.len));
	ct_prove(peer);
	local = ct_local(peer);
	ct_note("accepted %s at %s, length %u", ct_addr_text(&remote), ct_addr_text(&local),
		(unsigned)remote.len);
	TRY(write(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	close(peer);
	close(fd);
}

int main(void)
{
	struct ct_addr any;
	int listener, off = 0;

	ct_init();
	any = ct_addr_of("::", 0);
	listener = ct_socket(AF_INET6, 0);
	MUST(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	MUST(bind(listener, SA(&any)));
	MUST(listen(listener, 5));
	ct_prove(listener);
	ct_name_port(ct_port(listener), "SERVER");
	any = ct_local(listener);
	ct_note("listening at %s", ct_addr_text(&any));
	visit(listener, AF_INET);
	visit(listener, AF_INET6);
	return 0;
}
