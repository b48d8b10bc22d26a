/* SPDX-License-Identifier: MIT */
/* After EINTR the attempt goes on: poll and SO_ERROR tell how it ended, as POSIX has it. */
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
	server = ct_addr_of("203.0.113.1", ct_port(listener));
	fd = ct_socket(AF_INET, 0);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	/* poll is interrupted as well, SA_RESTART or not. */
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	ct_catch(SIGUSR1, SA_RESTART);
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	ct_pester_end();
	ct_net_add("203.0.113.1");
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	ct_so_error(fd);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
