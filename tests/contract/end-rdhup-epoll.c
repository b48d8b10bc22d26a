/* SPDX-License-Identifier: MIT */
/* EPOLLRDHUP, level and edge, at the end of the peer's data; HUP when both ends have ended. */
#include "harness.h"

static void watch(uint32_t flags, const char *name)
{
	struct epoll_event event = {.events = EPOLLRDHUP | flags, .data.u64 = 8};
	int epoll = MUST(epoll_create1(0)), pair[2], n;

	ct_pair(pair);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &event));
	ct_note("%s: quiet %d", name, epoll_wait(epoll, &event, 1, 20));
	CHECK(write(pair[0], "x", 1) == 1);
	ct_await(pair[1], POLLIN);
	ct_note("%s: data %d", name, epoll_wait(epoll, &event, 1, 20));
	MUST(shutdown(pair[0], SHUT_WR));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("%s: end %d %s data %d", name, n, ct_event_names(event.events),
		(int)event.data.u64);
	ct_note("%s: again %d", name, epoll_wait(epoll, &event, 1, 20));
	CHECK(read(pair[1], (char[8]){0}, 1) == 1 && read(pair[1], (char[8]){0}, 1) == 0);
	MUST(shutdown(pair[1], SHUT_WR));
	do
		n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	while (n == 1 && (event.events & EPOLLHUP) == 0);
	ct_note("%s: over %d %s", name, n, ct_event_names(event.events));
	close(pair[0]);
	close(pair[1]);
	close(epoll);
}

int main(void)
{
	ct_init();
	watch(0, "level");
	watch(EPOLLET, "edge");
	return 0;
}
