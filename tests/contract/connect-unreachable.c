/* SPDX-License-Identifier: MIT */
/* No route: ENETUNREACH, blocking or not, and the descriptor can be used again. */
#include "harness.h"

int main(void)
{
	struct ct_addr far, near;
	int listener, fd, error;
	socklen_t size = sizeof(error);

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
	/* TCP says so at once; a program that asked for EINPROGRESS must also hear it later. */
	error = connect(fd, SA(&far)) == 0 ? 0 : errno;
	if (error == EINPROGRESS) {
		ct_await(fd, POLLOUT);
		MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
	}
	ct_note("non-blocking: %s", strerrorname_np(error));
	close(fd);
	return 0;
}
