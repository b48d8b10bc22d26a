/* SPDX-License-Identifier: MIT */
/* A listener passed to another process by SCM_RIGHTS, as reloads do; the giver closes its own. */
#include "harness.h"

static void serve(int channel)
{
	struct ct_addr addr;
	int listener, fd, on = 0;
	socklen_t size = sizeof(on);
	char word[5];

	listener = ct_take(channel);
	ct_prove(listener);
	addr = ct_local(listener);
	ct_note("port is told: %d", ct_addr_port(&addr) != 0);
	TRY(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &on, &size));
	ct_note("listening: %d", on);
	TRY(listen(listener, 10));
	CHECK(write(channel, "", 1) == 1);
	for (int i = 0; i < 3; i++) {
		fd = ct_accept(listener);
		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		close(fd);
	}
	_exit(0);
}

int main(void)
{
	int channel[2], listener, port, fd;
	char word[8];
	pid_t pid;

	ct_init();
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	pid = ct_fork("receiver");
	if (pid == 0)
		serve(channel[1]);
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	ct_give(channel[0], listener);
	CHECK(read(channel[0], word, 1) == 1);
	TRY(close(listener));
	for (int i = 0; i < 3; i++) {
		fd = ct_connect(AF_INET, port);
		CHECK(ct_write_full(fd, "hello", 5) == 5);
		ct_note("%d: %d", i, (int)ct_read_full(fd, word, 5));
		close(fd);
	}
	ct_reap(pid);
	return 0;
}
