/* SPDX-License-Identifier: MIT */
/* IPv6: names, and a connection that carries bytes both ways. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, local, remote;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET6, 5);
	server = ct_local(listener);
	ct_name_port(ct_port(listener), "SERVER");
	fd = ct_socket(AF_INET6, 0);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	local = ct_local(fd);
	remote = ct_remote(fd);
	ct_name_port(ct_addr_port(&local), "CLIENT");
	ct_note("client: local %s remote %s", ct_addr_text(&local), ct_addr_text(&remote));
	peer = ct_accept(listener);
	local = ct_local(peer);
	remote = ct_remote(peer);
	ct_note("server: local %s remote %s", ct_addr_text(&local), ct_addr_text(&remote));
	ct_note("length %u", (unsigned)remote.len);
	TRY(write(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	TRY(write(peer, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	return 0;
}
