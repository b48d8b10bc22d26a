/* SPDX-License-Identifier: MIT */
/* epoll, level, edge and one-shot, registered after a non-blocking connect. */
#include "harness.h"

static void watch(int port, uint32_t flags, const char *name)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct epoll_event event = {.events = EPOLLOUT | EPOLLIN | EPOLLRDHUP | flags};
	int epoll = MUST(epoll_create1(0)), fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	MUST(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS ? 0 : -1);
	ct_prove(fd);
	event.data.u64 = 0x123456789abcdef;
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	memset(&event, 0, sizeof(event));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("%s: %d %s data %d", name, n, ct_event_names(event.events),
		event.data.u64 == 0x123456789abcdef);
	n = epoll_wait(epoll, &event, 1, 100);
	ct_note("%s: then %d", name, n);
	ct_so_error(fd);
	close(fd);
	close(epoll);
}

int main(void)
{
	int port;

	ct_init();
	port = ct_port(ct_listener(AF_INET, 5));
	watch(port, 0, "level");
	watch(port, EPOLLET, "edge");
	watch(port, EPOLLONESHOT, "one-shot");
	return 0;
}
