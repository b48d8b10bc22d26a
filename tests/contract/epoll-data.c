/* SPDX-License-Identifier: MIT */
/* epoll and arriving data: one edge an arrival, one-shot until armed again, level as long as. */
#include "harness.h"

static int pair[2], epoll;

static void wait_for(const char *name, int timeout_ms)
{
	struct epoll_event event = {.events = 0};
	int n = epoll_wait(epoll, &event, 1, timeout_ms);

	ct_note("%s: %d %s", name, n, ct_event_names(event.events));
}

static void arm(int operation, uint32_t flags)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | flags};

	MUST(epoll_ctl(epoll, operation, pair[1], &event));
}

int main(void)
{
	char buffer[8];

	ct_init();
	ct_pair(pair);
	epoll = MUST(epoll_create1(0));
	arm(EPOLL_CTL_ADD, EPOLLET);
	wait_for("edge, nothing", 0);
	TRY(write(pair[0], "a", 1));
	wait_for("edge, first", CT_LONG_MS);
	wait_for("edge, again", 20);
	TRY(write(pair[0], "b", 1));
	wait_for("edge, second", CT_LONG_MS);
	TRY(ct_read_full(pair[1], buffer, 2));
	wait_for("edge, read", 20);
	arm(EPOLL_CTL_MOD, EPOLLONESHOT);
	TRY(write(pair[0], "c", 1));
	wait_for("one-shot", CT_LONG_MS);
	TRY(write(pair[0], "d", 1));
	wait_for("one-shot, spent", 50);
	arm(EPOLL_CTL_MOD, EPOLLONESHOT);
	wait_for("one-shot, armed", CT_LONG_MS);
	arm(EPOLL_CTL_MOD, 0);
	wait_for("level", CT_LONG_MS);
	wait_for("level, again", 0);
	TRY(ct_read_full(pair[1], buffer, 2));
	wait_for("level, read", 0);
	arm(EPOLL_CTL_MOD, EPOLLET);
	TRY(shutdown(pair[0], SHUT_WR));
	wait_for("edge, end", CT_LONG_MS);
	wait_for("edge, end again", 20);
	return 0;
}
