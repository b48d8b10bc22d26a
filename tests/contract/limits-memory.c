/* SPDX-License-Identifier: MIT */
/* A program with no room for another mapping: a connection that it has tells a reset, or it has none. */
#include "harness.h"

#include <sys/resource.h>

static int told[2];

/* Resets the connection when it is told to, and serves one more. */
static void server(int listener)
{
	struct linger reset = {.l_onoff = 1};
	int fd = ct_accept(listener);
	char which;

	CHECK(write(fd, "partial", 7) == 7);
	CHECK(read(told[0], &which, 1) == 1);
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(fd);
	if (which == 'n') /* that one was the second already */
		_exit(0);
	fd = ct_accept(listener);
	CHECK(write(fd, "partial", 7) == 7);
	CHECK(read(fd, &which, 1) == 0);
	_exit(0);
}

static bool first(const struct ct_addr *addr)
{
	struct rlimit limit, small;
	FILE *statm = fopen("/proc/self/statm", "r");
	int fd = ct_socket(AF_INET, 0), rc, error;
	unsigned long pages = 0;
	bool connected;
	char c;

	CHECK(statm != NULL && fscanf(statm, "%lu", &pages) == 1);
	fclose(statm);
	MUST(getrlimit(RLIMIT_AS, &limit));
	small = limit;
	small.rlim_cur = pages * (unsigned long)getpagesize() + (8u << 20);
	MUST(setrlimit(RLIMIT_AS, &small));
	rc = connect(fd, (const struct sockaddr *)&addr->ss, addr->len);
	error = errno;
	connected = rc == 0;
	ct_note("connected, or no room: %d", connected || error == ENOBUFS);
	if (connected) {
		TRY(ct_read_full(fd, (char[8]){0}, 7));
		CHECK(write(told[1], "y", 1) == 1);
		ct_note("reset: %d", read(fd, &c, 1) < 0 && errno == ECONNRESET);
	} else {
		ct_note("ct_read_full(fd, (char[8]){0}, 7) = 7");
		ct_note("reset: 1");
	}
	MUST(setrlimit(RLIMIT_AS, &limit));
	close(fd);
	return connected;
}

int main(void)
{
	struct ct_addr addr;
	int pipe_fds[2], fd;
	bool connected;
	pid_t pid;

	ct_init();
	MUST(pipe(told));
	MUST(pipe(pipe_fds));
	pid = ct_fork("server");
	if (pid == 0) {
		int listener = ct_listener(AF_INET, 5);

		addr = ct_local(listener);
		CHECK(write(pipe_fds[1], &addr, sizeof(addr)) == sizeof(addr));
		server(listener);
	}
	CHECK(read(pipe_fds[0], &addr, sizeof(addr)) == sizeof(addr));
	connected = first(&addr);
	/* With room again. */
	fd = ct_connect(AF_INET, ct_addr_port(&addr));
	TRY(ct_read_full(fd, (char[8]){0}, 7));
	if (!connected) {
		CHECK(write(told[1], "n", 1) == 1);
		ct_note("reset: %d", read(fd, &(char){0}, 1) < 0 && errno == ECONNRESET);
	} else {
		ct_note("reset: 1");
	}
	close(fd);
	ct_reap(pid);
	return 0;
}
