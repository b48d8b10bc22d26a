/* SPDX-License-Identifier: MIT */
/* TCP Fast Open, as a request: sendto(MSG_FASTOPEN) and TCP_FASTOPEN_CONNECT connect and send. */
#include "harness.h"

int main(void)
{
	struct ct_addr server;
	int listener, fd, on = 1;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(sendto(fd, "hello", 5, MSG_FASTOPEN, SA(&server)));
	ct_prove(fd);
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	TRY(connect(fd, SA(&server)));
	close(fd);

	fd = ct_socket(AF_INET, 0);
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
	TRY(connect(fd, SA(&server)));
	TRY(write(fd, "hello", 5));
	ct_prove(fd);
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
