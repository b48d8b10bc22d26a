/* SPDX-License-Identifier: MIT */
/* Forked workers, each with an epoll of its own on one shared listener, plain level-triggered. */
#include "harness.h"

#define WORKERS 3
#define CLIENTS 24

static void work(int listener)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = MUST(epoll_create1(EPOLL_CLOEXEC)), fd;
	char word[5];

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	for (;;) {
		MUST(epoll_wait(epoll, &event, 1, -1));
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			CHECK(errno == EAGAIN);
			continue;
		}
		ct_prove(fd);
		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		close(fd);
	}
}

static void server(int listener)
{
	pid_t pids[WORKERS];

	ct_nonblock(listener, true);
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = ct_fork("worker");
		if (pids[i] == 0)
			work(listener);
	}
	ct_hear();
	for (int i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGTERM);
		CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
	}
	TRY(accept(listener, NULL, NULL));
}

static void client(int port)
{
	int right = 0;
	char word[5];

	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_connect(AF_INET, port);

		CHECK(ct_write_full(fd, "hello", 5) == 5);
		right += ct_read_full(fd, word, 5) == 5 && read(fd, word, 1) == 0;
		close(fd);
	}
	ct_note("%d served", right);
	ct_tell();
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
