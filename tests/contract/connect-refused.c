/* SPDX-License-Identifier: MIT */
/* Nobody listens: ECONNREFUSED, every time; the descriptor then serves for another attempt. */
#include "harness.h"

int main(void)
{
	struct ct_addr closed, open;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_name_port(ct_port(listener), "SERVER");
	open = ct_local(listener);
	closed = ct_loopback(AF_INET, ct_closed_port());
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&closed)));
	ct_so_error(fd);
	TRY(getpeername(fd, (struct sockaddr *)&(struct sockaddr_storage){0},
			&(socklen_t){sizeof(struct sockaddr_storage)}));
	TRY(connect(fd, SA(&closed)));
	TRY(connect(fd, SA(&open)));
	ct_prove(fd);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
