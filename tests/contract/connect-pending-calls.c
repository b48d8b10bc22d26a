/* SPDX-License-Identifier: MIT */
/* bind, listen, accept, shutdown, send and recv with flags while a connection is being made. */
#include "harness.h"

int main(void)
{
	struct ct_addr nobody, mine;
	char buffer[8];
	int fd;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	mine = ct_loopback(AF_INET, 0);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	TRY(bind(fd, SA(&mine)));
	TRY(listen(fd, 5));
	TRY(accept(fd, NULL, NULL));
	TRY(send(fd, "x", 1, MSG_NOSIGNAL));
	TRY(sendto(fd, "x", 1, 0, SA(&nobody)));
	TRY(recv(fd, buffer, 1, 0));
	TRY(recv(fd, buffer, 1, MSG_PEEK));
	TRY(recvfrom(fd, buffer, 1, 0, (struct sockaddr *)&mine.ss, &mine.len));
	TRY(writev(fd, &(struct iovec){buffer, 1}, 1));
	ct_so_error(fd);
	ct_poll(fd, POLLIN | POLLOUT, 0);
	TRY(shutdown(fd, SHUT_RDWR));
	ct_note("given up: %d", (connect(fd, SA(&nobody)), errno) != EALREADY);
	close(fd);
	return 0;
}
