/* SPDX-License-Identifier: MIT */
/* A short-lived client: connect, write, exit, a hundred times; the server gets every message. */
#include "harness.h"

#define CLIENTS 100

static void server(int listener)
{
	long sum = 0, word, ends = 0;

	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, &word, sizeof(word)) == sizeof(word));
		sum += word;
		ends += read(fd, &word, 1) == 0;
		close(fd);
	}
	ct_note("sum %ld, ends %ld", sum, ends);
}

static void client(int port)
{
	for (long i = 0; i < CLIENTS; i++) {
		pid_t pid = ct_fork("child");

		if (pid == 0) {
			CHECK(write(ct_connect(AF_INET, port), &i, sizeof(i)) == sizeof(i));
			_exit(0);
		}
		ct_reap(pid);
	}
	ct_note("%d clients", CLIENTS);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
