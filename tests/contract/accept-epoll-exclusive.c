/* SPDX-License-Identifier: MIT */
/* Workers that wait for one listener with EPOLLEXCLUSIVE: every connection is taken once. */
#include "harness.h"

#define WORKERS 3
#define CLIENTS 30

static void work(int listener)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	int epoll = MUST(epoll_create1(0)), fd;
	char word[5];

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	for (;;) {
		MUST(epoll_wait(epoll, &event, 1, -1));
		fd = accept(listener, NULL, NULL);
		if (fd < 0) {
			CHECK(errno == EAGAIN);
			continue;
		}
		ct_prove(fd);
		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		close(fd);
	}
}

int main(void)
{
	int listener, right = 0, fds[CLIENTS];
	pid_t pids[WORKERS];
	char word[5];

	ct_init();
	listener = ct_listener(AF_INET, 64);
	ct_nonblock(listener, true);
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = ct_fork("worker");
		if (pids[i] == 0)
			work(listener);
	}
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = ct_connect(AF_INET, ct_port(listener));
		CHECK(ct_write_full(fds[i], "hello", 5) == 5);
	}
	for (int i = 0; i < CLIENTS; i++)
		right += ct_read_full(fds[i], word, 5) == 5 && read(fds[i], word, 1) == 0;
	ct_note("%d served", right);
	for (int i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGTERM);
		waitpid(pids[i], NULL, 0);
	}
	TRY(accept(listener, NULL, NULL));
	return 0;
}
