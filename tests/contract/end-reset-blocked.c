/* SPDX-License-Identifier: MIT */
/* A reset wakes those who wait: a blocked read, a blocked write, poll, epoll. */
#include "harness.h"

static pthread_t first;

static void reset(int fd)
{
	struct linger none = {.l_onoff = 1};

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(fd);
}

static void *reset_later(void *argument)
{
	ct_await_blocked(first);
	reset(*(int *)argument);
	return NULL;
}

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	static char big[1 << 20];
	pthread_t thread;
	int pair[2], epoll, n;

	ct_init();
	first = pthread_self();
	ct_pair(pair);
	thread = ct_thread(reset_later, &pair[1]);
	TRY(read(pair[0], big, 1));
	ct_join(thread);

	ct_pair(pair);
	thread = ct_thread(reset_later, &pair[1]);
	while (write(pair[0], big, sizeof(big)) > 0)
		continue;
	ct_note("write: %s", strerrorname_np(errno));
	ct_join(thread);

	ct_pair(pair);
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
	thread = ct_thread(reset_later, &pair[1]);
	n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	ct_note("epoll: %d %s", n, (event.events & EPOLLIN) != 0 ? "IN" : "-");
	TRY(read(pair[0], big, 1));
	ct_join(thread);
	return 0;
}
