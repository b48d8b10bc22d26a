/* SPDX-License-Identifier: MIT */
/* select and pselect see a connection come up and fail. */
#include "harness.h"

#include <sys/select.h>

static void watch(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct timeval limit = {.tv_sec = CT_LONG};
	fd_set in, out, except;
	int fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	TRY(connect(fd, SA(&addr)));
	ct_prove(fd);
	FD_ZERO(&out);
	FD_SET(fd, &out);
	TRY(select(fd + 1, NULL, &out, NULL, &limit));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	n = pselect(fd + 1, &in, &out, &except, &(struct timespec){0}, NULL);
	ct_note("pselect = %d in %d out %d except %d", n, FD_ISSET(fd, &in) != 0,
		FD_ISSET(fd, &out) != 0, FD_ISSET(fd, &except) != 0);
	ct_so_error(fd);
	close(fd);
}

int main(void)
{
	ct_init();
	watch(ct_port(ct_listener(AF_INET, 5)));
	watch(ct_closed_port());
	return 0;
}
