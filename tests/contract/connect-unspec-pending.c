/* SPDX-License-Identifier: MIT */
/* connect(AF_UNSPEC) while connecting, on a fresh socket, after a failure: then connect elsewhere. */
#include "harness.h"

static struct ct_addr none = {.ss.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};

static void visit(int fd, int listener, const char *name)
{
	struct ct_addr server = ct_local(listener);
	int peer, result;

	ct_nonblock(fd, false);
	result = connect(fd, SA(&server));
	ct_note("%s: connect %d", name, result);
	ct_prove(fd);
	peer = ct_accept(listener);
	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_note("%s: read %d", name, (int)ct_read_full(peer, (char[8]){0}, 5));
	close(peer);
	close(fd);
}

int main(void)
{
	struct ct_addr nobody, closed;
	int fd, listener;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	closed = ct_loopback(AF_INET, ct_closed_port());
	listener = ct_listener(AF_INET, 5);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&none)));
	visit(fd, listener, "fresh");

	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	TRY(connect(fd, SA(&none)));
	visit(fd, listener, "pending");

	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&closed)));
	TRY(connect(fd, SA(&none)));
	visit(fd, listener, "refused");
	return 0;
}
