/* SPDX-License-Identifier: MIT */
/* While a non-blocking connect is under way: EALREADY, no events, EAGAIN, ENOTCONN; then close. */
#include "harness.h"

int main(void)
{
	struct ct_addr nobody, addr = {.len = sizeof(addr.ss)};
	struct pollfd p = {.events = POLLIN | POLLOUT | POLLRDHUP};
	int fd;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	TRY(connect(fd, SA(&nobody)));
	p.fd = fd;
	TRY(poll(&p, 1, 100));
	TRY(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(write(fd, "x", 1));
	TRY(read(fd, (char[8]){0}, 1));
	ct_so_error(fd);
	TRY(connect(fd, SA(&nobody)));
	TRY(close(fd));

	/* The number is free again and as good as any. */
	TRY(socket(AF_INET, SOCK_STREAM, 0) == fd);
	return 0;
}
