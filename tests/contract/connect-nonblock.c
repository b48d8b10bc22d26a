/* SPDX-License-Identifier: MIT */
/* A non-blocking connect: EINPROGRESS, POLLOUT, SO_ERROR 0, then 0 or EISCONN as TCP says. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, remote;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	ct_name_port(ct_port(listener), "SERVER");
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	ct_so_error(fd);
	ct_so_error(fd);
	remote = ct_remote(fd);
	ct_note("remote %s", ct_addr_text(&remote));
	TRY(fcntl(fd, F_GETFL) & O_NONBLOCK);
	peer = ct_accept(listener);
	TRY(read(fd, (char[8]){0}, 5));
	TRY(write(peer, "hello", 5));
	ct_await(fd, POLLIN);
	TRY(read(fd, (char[8]){0}, 5));
	return 0;
}
