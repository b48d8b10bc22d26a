/* SPDX-License-Identifier: MIT */
/* A listener on the wildcard address: an accepted socket names the address that its client chose. */
#include "harness.h"

static void visit(int listener, const char *address)
{
	struct ct_addr server = ct_addr_of(address, ct_port(listener)), local, remote;
	int fd = ct_socket(AF_INET, 0), peer;

	MUST(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = ct_accept(listener);
	local = ct_local(peer);
	remote = ct_remote(fd);
	ct_note("%s: accepted at %s, client's peer %s", address, ct_addr_text(&local),
		ct_addr_text(&remote));
	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_note("%s: read %d", address, (int)ct_read_full(peer, (char[8]){0}, 5));
	close(fd);
	close(peer);
}

int main(void)
{
	struct ct_addr any = {.len = 0};
	int listener;

	ct_init();
	any = ct_addr_of("0.0.0.0", 0);
	listener = ct_socket(AF_INET, 0);
	MUST(bind(listener, SA(&any)));
	MUST(listen(listener, 5));
	ct_prove(listener);
	ct_name_port(ct_port(listener), "SERVER");
	any = ct_local(listener);
	ct_note("listening at %s", ct_addr_text(&any));
	visit(listener, "127.0.0.1");
	visit(listener, "127.0.0.2");
	visit(listener, "127.0.0.1");
	return 0;
}
