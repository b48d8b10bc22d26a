/* SPDX-License-Identifier: MIT */
/* An epoll instance that is inherited by fork, a connection that is closed while registered. */
#include "harness.h"

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 11};
	int pair[2], epoll, other;
	pid_t pid;

	ct_init();
	epoll = MUST(epoll_create1(0));
	ct_pair(pair);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event));
	pid = ct_fork("child");
	if (pid == 0) {
		memset(&event, 0, sizeof(event));
		TRY(epoll_wait(epoll, &event, 1, CT_LONG_MS));
		ct_note("data %d", (int)event.data.u64);
		TRY(ct_read_full(pair[0], (char[8]){0}, 5));
		TRY(epoll_wait(epoll, &event, 1, 0));
		_exit(0);
	}
	TRY(write(pair[1], "hello", 5));
	ct_reap(pid);
	TRY(epoll_wait(epoll, &event, 1, 0));
	/* A copy keeps the registration of a closed descriptor alive, as for every file. */
	other = MUST(dup(pair[0]));
	TRY(close(pair[0]));
	TRY(write(pair[1], "again", 5));
	TRY(epoll_wait(epoll, &event, 1, CT_LONG_MS));
	TRY(close(other));
	TRY(epoll_wait(epoll, &event, 1, 0));
	return 0;
}
