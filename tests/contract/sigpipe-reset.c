/* SPDX-License-Identifier: MIT */
/* After a reset write() gives ECONNRESET without a signal; only the next one is EPIPE with SIGPIPE. */
#include "harness.h"

static volatile sig_atomic_t pipes;

static void count(int number)
{
	(void)number;
	pipes++;
}

static int reset_one(void)
{
	struct linger none = {.l_onoff = 1};
	int pair[2];

	ct_pair(pair);
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(pair[1]);
	ct_await(pair[0], POLLERR | POLLHUP);
	return pair[0];
}

int main(void)
{
	struct sigaction action = {.sa_handler = count};
	struct iovec iov = {(char[8]){0}, 1};
	int fd;

	ct_init();
	MUST(sigaction(SIGPIPE, &action, NULL));
	fd = reset_one();
	TRY(write(fd, "x", 1));
	ct_note("signals %d", (int)pipes);
	TRY(write(fd, "x", 1));
	ct_note("signals %d", (int)pipes);
	fd = reset_one();
	TRY(writev(fd, &iov, 1));
	ct_note("signals %d", (int)pipes);
	TRY(writev(fd, &iov, 1));
	ct_note("signals %d", (int)pipes);
	fd = reset_one();
	TRY(send(fd, "x", 1, 0));
	ct_note("signals %d", (int)pipes);
	TRY(send(fd, "x", 1, 0));
	ct_note("signals %d", (int)pipes);
	return 0;
}
