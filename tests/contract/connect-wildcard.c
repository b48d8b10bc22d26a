/* SPDX-License-Identifier: MIT */
/* connect to 0.0.0.0 means this machine. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, remote;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_name_port(ct_port(listener), "SERVER");
	server = ct_addr_of("0.0.0.0", ct_port(listener));
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	remote = ct_remote(fd);
	ct_note("remote %s", ct_addr_text(&remote));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
