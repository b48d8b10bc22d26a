/* SPDX-License-Identifier: MIT */
/* The classic server: accept, fork, the child serves, the parent closes; wait sees only those. */
#include "harness.h"

#define CLIENTS 20

static volatile sig_atomic_t children;

static void on_child(int number)
{
	(void)number;
	children++;
}

static void server(int listener)
{
	struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
	int reaped = 0, n = 0;
	char word[5];

	MUST(sigaction(SIGCHLD, &action, NULL));
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_accept(listener);

		if (ct_fork("child") == 0) {
			close(listener);
			CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
			_exit(7);
		}
		close(fd);
	}
	while (waitpid(-1, &n, 0) > 0)
		reaped += WIFEXITED(n) && WEXITSTATUS(n) == 7;
	ct_note("reaped %d, then %s", reaped, strerrorname_np(errno));
	ct_note("signals %d", children > 0 && children <= CLIENTS);
}

static void client(int port)
{
	int right = 0, fds[CLIENTS];
	char word[5];

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ct_connect(AF_INET, port);
	for (int i = 0; i < CLIENTS; i++)
		CHECK(ct_write_full(fds[i], "hello", 5) == 5);
	for (int i = 0; i < CLIENTS; i++)
		right += ct_read_full(fds[i], word, 5) == 5 && read(fds[i], word, 1) == 0;
	ct_note("%d served", right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
