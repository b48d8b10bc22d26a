/* SPDX-License-Identifier: MIT */
/* Pre-forked workers in a blocking accept; the parent has closed the listener. */
#include "harness.h"

#define WORKERS 3
#define CLIENTS 30

static void work(int listener)
{
	char word[5];

	for (;;) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		close(fd);
	}
}

static void server(int listener)
{
	pid_t pids[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		pids[i] = ct_fork("worker");
		if (pids[i] == 0)
			work(listener);
	}
	close(listener);
	ct_hear();
	for (int i = 0; i < WORKERS; i++) {
		kill(pids[i], SIGTERM);
		CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
	}
	TRY(waitpid(-1, NULL, 0));
	ct_tell();
}

static void client(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
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
	/* The last worker took the listener with it. */
	ct_hear();
	ct_refused(&addr);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
