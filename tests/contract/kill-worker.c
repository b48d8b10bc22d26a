/* SPDX-License-Identifier: MIT */
/* One of two pre-forked workers is killed: its peer's read ends, the other one serves on. */
#include "harness.h"

#include <time.h>

static pid_t worker(int listener)
{
	pid_t pid = ct_fork("worker");

	if (pid != 0)
		return pid;
	for (;;) {
		int fd = ct_accept(listener);

		pid = getpid();
		CHECK(ct_write_full(fd, &pid, sizeof(pid)) == sizeof(pid));
		while (read(fd, (char[1]){0}, 1) > 0)
			;
		close(fd);
	}
}

static void client(int port, const pid_t workers[2])
{
	struct timespec before, after;
	int fd = ct_connect(AF_INET, port), status;
	pid_t victim, other;
	ssize_t n;

	CHECK(ct_read_full(fd, &victim, sizeof(victim)) == sizeof(victim));
	CHECK(victim == workers[0] || victim == workers[1]);
	clock_gettime(CLOCK_MONOTONIC, &before);
	MUST(kill(victim, SIGKILL));
	n = read(fd, (char[8]){0}, 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ct_note("read ended: %d", n == 0 || (n == -1 && errno == ECONNRESET));
	ct_note("in time: %d", after.tv_sec - before.tv_sec < CT_LONG / 4);
	CHECK(waitpid(-1, &status, 0) == victim);
	close(fd);
	for (int i = 0; i < 3; i++) {
		fd = ct_connect(AF_INET, port);
		CHECK(ct_read_full(fd, &other, sizeof(other)) == sizeof(other));
		ct_note("the other one: %d", other != victim);
		close(fd);
	}
	MUST(kill(other, SIGKILL));
	CHECK(waitpid(-1, &status, 0) == other);
	TRY(waitpid(-1, NULL, WNOHANG));
}

int main(void)
{
	pid_t workers[2];
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	workers[0] = worker(listener);
	workers[1] = worker(listener);
	client(ct_port(listener), workers);
	return 0;
}
