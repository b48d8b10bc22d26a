/* SPDX-License-Identifier: MIT */
/* An epoll registration made before connect lives on through it, with its data and its kind. */
#include "harness.h"

static void watch(int port, uint32_t flags, const char *name)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct epoll_event event = {.events = EPOLLOUT | EPOLLIN | flags, .data.u64 = 77};
	int epoll = MUST(epoll_create1(0)), fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	MUST(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS ? 0 : -1);
	ct_prove(fd);
	/* TCP says HUP of the fresh socket; a program that registers early must see that through. */
	do {
		memset(&event, 0, sizeof(event));
		n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	} while (n == 1 && (event.events & EPOLLHUP) != 0);
	ct_note("%s: %d %s data %d", name, n, ct_event_names(event.events), (int)event.data.u64);
	ct_so_error(fd);
	event.events = EPOLLIN;
	event.data.u64 = 78;
	TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	TRY(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	TRY(epoll_wait(epoll, &event, 1, 0));
	TRY(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	TRY(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
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
	return 0;
}
