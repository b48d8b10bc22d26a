/* SPDX-License-Identifier: MIT */
/* An IPv6 socket that connects to a v4-mapped address: each end names it in its own family. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, local, remote;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_name_port(ct_port(listener), "SERVER");
	server = ct_addr_of("::ffff:127.0.0.1", ct_port(listener));
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
	TRY(write(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
