/* SPDX-License-Identifier: MIT */
/* write, close, exit at once: the other gets everything, however the process ends. */
#include "harness.h"

#define TOTAL (200 << 10)

static void end(int how)
{
	int fd = ct_accept(3);

	CHECK(ct_send_pattern(fd, TOTAL, (uint64_t)how) == TOTAL);
	switch (how) {
	case 0:
		close(fd);
		exit(0);
	case 1:
		exit(0);
	case 2:
		_exit(0);
	case 3:
		quick_exit(0);
	case 4: {
		char name[] = "true", *argv[] = {name, NULL};

		MUST(fcntl(fd, F_SETFD, FD_CLOEXEC));
		execvp("true", argv);
		_exit(2);
	}
	}
	_exit(2);
}

static void server(int listener)
{
	if (listener != 3)
		MUST(dup2(listener, 3));
	for (int how = 0; how <= 4; how++) {
		pid_t pid = ct_fork("child");

		if (pid == 0)
			end(how);
		ct_reap(pid);
	}
}

static void client(int port)
{
	static const char *const names[] = {"close and exit", "exit", "_exit", "quick_exit",
					    "exec"};

	for (int how = 0; how <= 4; how++) {
		int fd = ct_connect(AF_INET, port);
		bool right = ct_recv_pattern(fd, TOTAL, (uint64_t)how) == TOTAL;

		ct_note("%s: right %d, then %zd", names[how], right, read(fd, (char[8]){0}, 1));
		close(fd);
	}
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
