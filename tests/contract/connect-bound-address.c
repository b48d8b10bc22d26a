/* SPDX-License-Identifier: MIT */
/* A client that bound its address: both ends see it. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, mine, seen;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	ct_name_port(ct_port(listener), "SERVER");
	fd = ct_socket(AF_INET, 0);
	mine = ct_addr_of("127.0.0.2", 0);
	TRY(bind(fd, SA(&mine)));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = ct_accept(listener);
	mine = ct_local(fd);
	ct_name_port(ct_addr_port(&mine), "MINE");
	seen = ct_remote(peer);
	ct_note("mine %s seen %s", ct_addr_text(&mine), ct_addr_text(&seen));
	TRY(write(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
