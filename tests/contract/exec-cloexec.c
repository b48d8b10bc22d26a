/* SPDX-License-Identifier: MIT */
/* Close-on-exec, by socket(2), by fcntl and by close_range: exec ends the connection for the peer. */
#include "harness.h"

#include <linux/close_range.h>

static void client(int port)
{
	char name[] = "sleep", time[] = "60", *argv[] = {name, time, NULL};
	struct ct_addr addr = ct_loopback(AF_INET, port);

	for (int how = 0; how < 3; how++) {
		pid_t pid = ct_fork("child");

		if (pid == 0) {
			int fd = ct_socket(AF_INET, how == 0 ? SOCK_CLOEXEC : 0);

			MUST(connect(fd, SA(&addr)));
			ct_prove(fd);
			if (how == 1)
				MUST(fcntl(fd, F_SETFD, FD_CLOEXEC));
			if (how == 2)
				MUST(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC));
			execvp("sleep", argv);
			_exit(2);
		}
		ct_tell();
		/* The server has seen the end while the program still runs. */
		ct_hear();
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, NULL, 0) == pid);
	}
}

static void server(int listener)
{
	for (int i = 0; i < 3; i++) {
		int fd;

		ct_hear();
		fd = ct_accept(listener);
		TRY(read(fd, (char[8]){0}, 1));
		close(fd);
		ct_tell();
	}
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
