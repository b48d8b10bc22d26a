/* SPDX-License-Identifier: MIT */
/* Port 0 can't be connected to. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr, server;
	int fd;

	ct_init();
	addr = ct_loopback(AF_INET, 0);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&addr)));
	server = ct_loopback(AF_INET, ct_port(ct_listener(AF_INET, 5)));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	return 0;
}
