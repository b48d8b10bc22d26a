/* SPDX-License-Identifier: MIT */
/* A v4-mapped destination: refused, then reached, and a bound v4-mapped source address. */
#include "harness.h"

int main(void)
{
	struct ct_addr closed, server, mine, seen;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	closed = ct_addr_of("::ffff:127.0.0.1", ct_closed_port());
	server = ct_addr_of("::ffff:127.0.0.1", ct_port(listener));
	mine = ct_addr_of("::ffff:127.0.0.4", 0);
	ct_name_port(ct_port(listener), "SERVER");
	fd = ct_socket(AF_INET6, 0);
	TRY(connect(fd, SA(&closed)));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	close(ct_accept(listener));
	close(fd);

	fd = ct_socket(AF_INET6, 0);
	TRY(bind(fd, SA(&mine)));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = ct_accept(listener);
	mine = ct_local(fd);
	seen = ct_remote(peer);
	ct_name_port(ct_addr_port(&mine), "MINE");
	ct_note("local %s seen %s", ct_addr_text(&mine), ct_addr_text(&seen));
	seen = ct_remote(fd);
	ct_note("remote %s", ct_addr_text(&seen));
	return 0;
}
