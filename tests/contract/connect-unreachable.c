/* SPDX-License-Identifier: MIT */
/* No route: ENETUNREACH at once, blocking or not, and the descriptor can be used again. */
#include "harness.h"

int main(void)
{
	struct ct_addr far, near;
	int listener, fd;

	ct_init_own_net();
	far = ct_addr_of("192.0.2.1", 80);
	listener = ct_listener(AF_INET, 5);
	near = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&far)));
	ct_so_error(fd);
	TRY(connect(fd, SA(&near)));
	ct_prove(fd);
	close(fd);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&far)));
	ct_so_error(fd);
	close(fd);
	return 0;
}
