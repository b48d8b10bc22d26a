/* SPDX-License-Identifier: MIT */
/* A listener in epoll, level and edge, registered before listen or after. */
#include "harness.h"

static void watch(uint32_t flags, bool before, const char *name)
{
	struct epoll_event event = {.events = EPOLLIN | flags, .data.u64 = 3};
	int epoll = MUST(epoll_create1(0)), listener = ct_bound(AF_INET), first, second, n;

	if (before)
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	MUST(listen(listener, 5));
	ct_prove(listener);
	if (!before)
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	/* A fresh TCP socket says HUP, and an edge of that may be left. */
	MUST(epoll_wait(epoll, &event, 1, 0));
	ct_note("%s: nobody %d", name, epoll_wait(epoll, &event, 1, 0));
	first = ct_connect(AF_INET, ct_port(listener));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("%s: one %d %s data %d", name, n, ct_event_names(event.events),
		(int)event.data.u64);
	ct_note("%s: again %d", name, epoll_wait(epoll, &event, 1, 50));
	second = ct_connect(AF_INET, ct_port(listener));
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("%s: two %d %s", name, n, ct_event_names(event.events));
	close(ct_accept(listener));
	close(ct_accept(listener));
	ct_note("%s: empty %d", name, epoll_wait(epoll, &event, 1, 0));
	close(first);
	close(second);
	close(listener);
	close(epoll);
}

int main(void)
{
	ct_init();
	watch(0, false, "level after");
	watch(EPOLLET, false, "edge after");
	watch(0, true, "level before");
	watch(EPOLLET, true, "edge before");
	return 0;
}
