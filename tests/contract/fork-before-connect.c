/* SPDX-License-Identifier: MIT */
/* A socket made before fork, connected by the child; the parent has a socket of its own. */
#include "harness.h"

static void server(int listener)
{
	int sum = 0;

	for (int i = 0; i < 2; i++) {
		int fd = ct_accept(listener);
		char byte;

		CHECK(ct_read_full(fd, &byte, 1) == 1);
		sum += byte;
	}
	ct_note("sum %d", sum);
}

static void client(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, 0);
	pid_t pid = ct_fork("child");

	if (pid == 0) {
		TRY(connect(fd, SA(&addr)));
		ct_prove(fd);
		TRY(write(fd, "\3", 1));
		_exit(0);
	}
	ct_reap(pid);
	fd = ct_connect(AF_INET, port);
	TRY(write(fd, "\4", 1));
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_FORK, server, client);
}
