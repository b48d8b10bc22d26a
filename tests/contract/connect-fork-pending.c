/* SPDX-License-Identifier: MIT */
/* fork while the connection is being made: the child sees it come up and talks. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_read_full(fd, (char[8]){0}, 6));
	TRY(read(fd, (char[8]){0}, 1));
}

static void serve(int listener)
{
	server(ct_accept(listener));
}

static void client(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	pid_t pid;

	TRY(connect(fd, SA(&addr)));
	ct_prove(fd);
	pid = ct_fork("child");
	if (pid == 0) {
		ct_await(fd, POLLOUT);
		ct_so_error(fd);
		addr = ct_remote(fd);
		ct_note("remote %s", ct_addr_text(&addr));
		TRY(write(fd, "abc", 3));
		_exit(0);
	}
	ct_await(fd, POLLOUT);
	ct_reap(pid);
	TRY(write(fd, "def", 3));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_THREAD, serve, client);
}
