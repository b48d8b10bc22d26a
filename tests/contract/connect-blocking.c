/* SPDX-License-Identifier: MIT */
/* A blocking connect: the connection is there, both names are true, and again is EISCONN. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, local, remote;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_name_port(ct_port(listener), "SERVER");
	server = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	ct_so_error(fd);
	local = ct_local(fd);
	remote = ct_remote(fd);
	ct_note("local %s remote %s", ct_addr_text(&local), ct_addr_text(&remote));
	TRY(connect(fd, SA(&server)));
	peer = ct_accept(listener);
	TRY(write(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	TRY(connect(fd, SA(&server)));
	ct_events(fd, POLLOUT);
	return 0;
}
