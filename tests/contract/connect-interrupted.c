/* SPDX-License-Identifier: MIT */
/* A signal interrupts a blocking connect: EINTR, the attempt goes on, and connect waits for it. */
#include "harness.h"

int main(void)
{
	struct ct_addr server;
	int listener, fd;

	ct_init_own_net();
	ct_catch(SIGUSR1, 0);
	server = ct_addr_of("0.0.0.0", 0);
	listener = ct_socket(AF_INET, 0);
	MUST(bind(listener, SA(&server)));
	MUST(listen(listener, 5));
	ct_prove(listener);
	server = ct_addr_of("203.0.113.1", ct_port(listener));

	fd = ct_socket(AF_INET, 0);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(connect(fd, SA(&server)));
	ct_pester_end();
	/* Now the address appears, and the next try of the same attempt gets through. */
	ct_net_add("203.0.113.1");
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	ct_so_error(fd);
	TRY(connect(fd, SA(&server)));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
