/* SPDX-License-Identifier: MIT */
/* connect with what it can't use: the errno of TCP, and the socket stays usable. */
#include "harness.h"

int main(void)
{
	struct ct_addr server, other;
	int listener, fd, file;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, (struct sockaddr *)&server.ss, 4));
	TRY(connect(fd, (struct sockaddr *)&server.ss, 1000));
	TRY(connect(fd, NULL, server.len));
	other = server;
	other.ss.ss_family = AF_UNIX;
	TRY(connect(fd, SA(&other)));
	other = ct_loopback(AF_INET6, ct_port(listener));
	TRY(connect(fd, SA(&other)));
	file = MUST(open("/dev/null", O_RDWR));
	TRY(connect(file, SA(&server)));
	close(file);
	TRY(connect(file, SA(&server)));
	TRY(connect(-1, SA(&server)));
	TRY(connect(listener, SA(&server)));
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	return 0;
}
