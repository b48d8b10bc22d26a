/* SPDX-License-Identifier: MIT */
/* connect as a question: after POLLOUT the second call gives 0 once, then EISCONN. */
#include "harness.h"

int main(void)
{
	struct ct_addr server;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	TRY(connect(fd, SA(&server)));
	TRY(connect(fd, SA(&server)));
	return 0;
}
