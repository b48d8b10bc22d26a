/* SPDX-License-Identifier: MIT */
/* ppoll with a mask, pselect and epoll_pwait while a connection is being made: signals break in. */
#include "harness.h"

#include <sys/select.h>

int main(void)
{
	struct timespec limit = {.tv_sec = CT_LONG}, none = {0};
	struct ct_addr nobody, server;
	struct pollfd p = {.events = POLLOUT};
	struct epoll_event event = {.events = EPOLLOUT};
	sigset_t set, empty;
	int fd, epoll;
	fd_set out;

	ct_init_own_net();
	ct_catch(SIGUSR1, 0);
	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	nobody = ct_addr_of("203.0.113.1", 80);
	p.fd = fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	MUST(kill(getpid(), SIGUSR1));
	TRY(ppoll(&p, 1, &none, NULL));
	TRY(ppoll(&p, 1, &limit, &empty));
	MUST(kill(getpid(), SIGUSR1));
	FD_ZERO(&out);
	FD_SET(fd, &out);
	TRY(pselect(fd + 1, NULL, &out, NULL, &limit, &empty));
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	MUST(kill(getpid(), SIGUSR1));
	TRY(epoll_pwait(epoll, &event, 1, CT_LONG_MS, &empty));
	TRY(epoll_pwait(epoll, &event, 1, 0, &empty));
	close(fd);

	server = ct_loopback(AF_INET, ct_port(ct_listener(AF_INET, 5)));
	p.fd = fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	TRY(connect(fd, SA(&server)));
	TRY(ppoll(&p, 1, &limit, &empty));
	ct_so_error(fd);
	return 0;
}
