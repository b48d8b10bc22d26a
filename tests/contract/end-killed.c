/* SPDX-License-Identifier: MIT */
/* A process killed by SIGKILL: its peer's read ends. Here within 15 s, however loaded the machine;
 * how soon it does on a path of 20 ms is measured by tests/netsim/test-kill. */
#include "harness.h"

#include <time.h>

static void server(int fd)
{
	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_tell();
	read(fd, (char[8]){0}, 1);
	_exit(2);
}

static void client(int fd)
{
	struct timespec before, after;
	ssize_t n;

	ct_server_may_die();
	CHECK(ct_read_full(fd, (char[8]){0}, 5) == 5);
	ct_hear();
	clock_gettime(CLOCK_MONOTONIC, &before);
	MUST(kill(ct_server_pid(), SIGKILL));
	n = read(fd, (char[8]){0}, 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ct_note("read ended: %d", n == 0 || (n == -1 && errno == ECONNRESET));
	ct_note("in time: %d", after.tv_sec - before.tv_sec < 15);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
