/* SPDX-License-Identifier: MIT */
/* One socket in two epoll instances, one registration before connect and one after, and in poll. */
#include "harness.h"

static void await(int epoll, const char *name)
{
	struct epoll_event event;
	int n;

	do {
		memset(&event, 0, sizeof(event));
		n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	} while (n == 1 && (event.events & EPOLLHUP) != 0);
	ct_note("%s: %d %s data %d", name, n, ct_event_names(event.events), (int)event.data.u64);
}

int main(void)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.u64 = 1};
	struct ct_addr addr;
	int first, second, fd, peer, listener;

	ct_init();
	first = MUST(epoll_create1(0));
	second = MUST(epoll_create1(EPOLL_CLOEXEC));
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	MUST(epoll_ctl(first, EPOLL_CTL_ADD, fd, &event));
	CHECK(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS);
	ct_prove(fd);
	event.data.u64 = 2;
	MUST(epoll_ctl(second, EPOLL_CTL_ADD, fd, &event));
	await(first, "before");
	await(second, "after");
	ct_poll(fd, POLLOUT, CT_LONG_MS);
	peer = ct_accept(listener);
	TRY(write(peer, "x", 1));
	event = (struct epoll_event){.events = EPOLLIN, .data.u64 = 3};
	TRY(epoll_ctl(first, EPOLL_CTL_MOD, fd, &event));
	await(first, "in");
	close(fd);
	ct_note("closed: %d %d", epoll_wait(first, &event, 1, 0), epoll_wait(second, &event, 1, 0));
	return 0;
}
