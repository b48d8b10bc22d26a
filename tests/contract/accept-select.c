/* SPDX-License-Identifier: MIT */
/* select, pselect, ppoll and epoll_pwait on a listener; a signal breaks in. */
#include "harness.h"

#include <sys/select.h>

int main(void)
{
	struct timespec limit = {.tv_sec = CT_LONG}, none = {0};
	struct epoll_event event = {.events = EPOLLIN};
	struct pollfd p = {.events = POLLIN | POLLOUT};
	struct timeval now = {0};
	int listener, epoll;
	fd_set in, out;
	sigset_t set, empty;

	ct_init();
	ct_catch(SIGUSR1, SA_RESTART);
	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	p.fd = listener = ct_listener(AF_INET, 5);
	FD_ZERO(&in);
	FD_SET(listener, &in);
	TRY(select(listener + 1, &in, NULL, NULL, &now));
	MUST(kill(getpid(), SIGUSR1));
	TRY(ppoll(&p, 1, &limit, &empty));
	MUST(kill(getpid(), SIGUSR1));
	FD_SET(listener, &in);
	TRY(pselect(listener + 1, &in, NULL, NULL, &limit, &empty));
	ct_connect(AF_INET, ct_port(listener));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(listener, &in);
	FD_SET(listener, &out);
	TRY(pselect(listener + 1, &in, &out, NULL, &limit, NULL));
	ct_note("in %d out %d", FD_ISSET(listener, &in) != 0, FD_ISSET(listener, &out) != 0);
	TRY(ppoll(&p, 1, &limit, NULL));
	ct_note("%s", ct_event_names((uint32_t)p.revents));
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	TRY(epoll_pwait(epoll, &event, 1, CT_LONG_MS, NULL));
	ct_accept(listener);
	TRY(ppoll(&p, 1, &none, NULL));
	return 0;
}
