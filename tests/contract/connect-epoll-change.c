/* SPDX-License-Identifier: MIT */
/* Registrations are changed and taken away while the connection is being made. */
#include "harness.h"

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};
	struct ct_addr nobody;
	int epoll, fd, other;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	epoll = MUST(epoll_create1(0));
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	event.events = EPOLLOUT | EPOLLET;
	TRY(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	epoll_wait(epoll, &event, 1, 0); /* an edge that the fresh socket left, if any */
	TRY(epoll_wait(epoll, &event, 1, 50));
	event.events = EPOLLOUT;
	TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	TRY(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	TRY(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	other = MUST(dup(fd));
	TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, other, &event));
	TRY(epoll_wait(epoll, &event, 1, 50));
	close(other);
	/* Closed while it connects: its registration goes with it. */
	close(fd);
	TRY(epoll_wait(epoll, &event, 1, 50));
	TRY(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	return 0;
}
