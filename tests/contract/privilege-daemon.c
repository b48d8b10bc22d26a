/* SPDX-License-Identifier: MIT */
/* Listens as root, then daemon(3): the first process ends, and it is its child that drops. */
#include "harness.h"

#include <grp.h>

#define NOBODY 65534

static void be_daemon(int listener, int ready)
{
	int peer;

	ct_as("daemon");
	setsid();
	TRY(setgroups(0, NULL));
	TRY(setgid(NOBODY));
	TRY(setuid(NOBODY));
	/* Its parent may not have ended just when it dropped. */
	ct_privileges("daemon", listener, false);
	CHECK(write(ready, "x", 1) == 1);
	peer = ct_accept(listener);
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	_exit(0);
}

/* A program of its own: what chose the engine's name is not alive either when it has ended. */
static void be_first(void)
{
	int listener, port;

	ct_as("first");
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	CHECK(write(STDIN_FILENO, &port, sizeof(port)) == sizeof(port));
	if (ct_fork("daemon") == 0)
		be_daemon(listener, STDIN_FILENO);
	_exit(0);
}

int main(void)
{
	int channel[2], fd, port;
	pid_t pid;
	char c;

	if (geteuid() != 0)
		ct_skip("not root");
	ct_init();
	if (ct_role() != NULL)
		be_first();
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("first");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		unsetenv("QUICSHIM_ENGINE");
		ct_exec_self("first");
	}
	CHECK(ct_read_full(channel[0], &port, sizeof(port)) == sizeof(port));
	ct_reap(pid);
	CHECK(ct_read_full(channel[0], &c, 1) == 1);
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, &c, 1));
	return 0;
}
