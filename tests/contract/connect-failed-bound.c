/* SPDX-License-Identifier: MIT */
/* After a failed connect a port that bind() chose is given up, and one that the program named is kept. */
#include "harness.h"

static void bind_and_fail(int port, struct ct_addr *closed, struct ct_addr *server)
{
	struct ct_addr mine = ct_loopback(AF_INET, port), other = ct_loopback(AF_INET, 0);
	const char *what = port ? "named" : "chosen";
	int fd = ct_socket(AF_INET, 0), before;

	CHECK(bind(fd, SA(&mine)) == 0);
	before = ct_port(fd);
	ct_note("%s: connect %d", what, connect(fd, SA(closed)) < 0 ? errno : 0);
	ct_note("%s: the port it had: %d", what, ct_port(fd) == before);
	ct_note("%s: bind %d", what, bind(fd, SA(&other)) < 0 ? errno : 0);
	ct_note("%s: a port: %d", what, port ? ct_port(fd) == before : ct_port(fd) != 0);
	ct_note("%s: connect %d", what, connect(fd, SA(server)) < 0 ? errno : 0);
	ct_prove(fd);
	ct_note("%s: bind %d", what, bind(fd, SA(&other)) < 0 ? errno : 0);
	close(fd);
}

int main(void)
{
	struct ct_addr closed, server;
	int listener, reserved, port;

	ct_init();
	closed = ct_loopback(AF_INET, ct_closed_port());
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	bind_and_fail(0, &closed, &server);
	reserved = ct_bound(AF_INET);
	port = ct_port(reserved);
	close(reserved);
	bind_and_fail(port, &closed, &server);
	return 0;
}
