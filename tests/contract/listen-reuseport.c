/* SPDX-License-Identifier: MIT */
/* Two SO_REUSEPORT listeners on one port, in two processes: together they serve everybody. */
#include "harness.h"

#define CLIENTS 24

static int listener_at(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, 0), on = 1;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	MUST(bind(fd, SA(&addr)));
	MUST(listen(fd, 64));
	ct_prove(fd);
	return fd;
}

static void serve(int listener)
{
	char word[5];

	for (;;) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		close(fd);
	}
}

int main(void)
{
	int ready[2], right = 0, first, port, on = 0;
	socklen_t size = sizeof(on);
	char word[5];
	pid_t pids[2];

	ct_init();
	first = listener_at(0);
	port = ct_port(first);
	TRY(getsockopt(first, SOL_SOCKET, SO_REUSEPORT, &on, &size));
	ct_note("SO_REUSEPORT %d", on);
	MUST(pipe(ready));
	for (int i = 0; i < 2; i++) {
		pids[i] = ct_fork("worker");
		if (pids[i] == 0) {
			int listener = i == 0 ? first : listener_at(port);

			if (i != 0)
				close(first);
			CHECK(write(ready[1], "", 1) == 1);
			serve(listener);
		}
	}
	close(first);
	CHECK(ct_read_full(ready[0], word, 2) == 2);
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_connect(AF_INET, port);

		CHECK(ct_write_full(fd, "hello", 5) == 5);
		right += ct_read_full(fd, word, 5) == 5 && memcmp(word, "hello", 5) == 0;
		close(fd);
	}
	ct_note("%d served", right);
	for (int i = 0; i < 2; i++) {
		kill(pids[i], SIGTERM);
		waitpid(pids[i], NULL, 0);
	}
	return 0;
}
