/* SPDX-License-Identifier: MIT */
/* EPOLLEXCLUSIVE on a socket that connects, registered before connect and after. */
#include "harness.h"

static void watch(int port, bool before, const char *name)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct epoll_event event = {.events = EPOLLOUT | EPOLLEXCLUSIVE, .data.u64 = 9};
	int epoll = MUST(epoll_create1(0)), fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	if (before)
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	MUST(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS ? 0 : -1);
	ct_prove(fd);
	if (!before)
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	do {
		memset(&event, 0, sizeof(event));
		n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	} while (n == 1 && (event.events & EPOLLHUP) != 0);
	ct_note("%s: %d %s data %d", name, n, ct_event_names(event.events), (int)event.data.u64);
	ct_so_error(fd);
	/* An exclusive registration can't be changed; it can be taken away. */
	event.events = EPOLLOUT;
	TRY(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	TRY(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	close(fd);
	close(epoll);
}

int main(void)
{
	int port;

	ct_init();
	port = ct_port(ct_listener(AF_INET, 5));
	watch(port, false, "after");
	watch(port, true, "before");
	return 0;
}
