/* SPDX-License-Identifier: MIT */
/* A client killed by SIGKILL: its server's read ends. Here within 15 s, however loaded the machine;
 * how soon it does on a path of 20 ms is measured by tests/netsim/test-kill. */
#include "harness.h"

#include <time.h>

static void server(int listener)
{
	struct timespec before, after;
	int fd = ct_accept(listener);
	pid_t pid;
	ssize_t n;

	CHECK(ct_read_full(fd, &pid, sizeof(pid)) == sizeof(pid));
	usleep(200000);
	clock_gettime(CLOCK_MONOTONIC, &before);
	MUST(kill(pid, SIGKILL));
	n = read(fd, (char[8]){0}, 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ct_note("read ended: %d", n == 0 || (n == -1 && errno == ECONNRESET));
	ct_note("in time: %d", after.tv_sec - before.tv_sec < 15);
}

static void client(int port)
{
	pid_t pid = ct_fork("child"), self;
	int fd, status;

	if (pid == 0) {
		fd = ct_connect(AF_INET, port);
		self = getpid();
		CHECK(write(fd, &self, sizeof(self)) == sizeof(self));
		for (;;)
			pause();
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	ct_note("killed: %d", WIFSIGNALED(status));
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
