/* SPDX-License-Identifier: MIT */
/* Whom a socket signals, and by what, is kept by connect and listen, and is not inherited by accept. */
#include "harness.h"

static void show(const char *what, int fd)
{
	int flags = MUST(fcntl(fd, F_GETFL)), owner = fcntl(fd, F_GETOWN);

	ct_note("%s: owner %s, signal %s, async %d, nonblock %d", what,
		owner == getpid()     ? "me"
		: owner == -getpgrp() ? "my group"
		: owner		      ? "other"
				      : "none",
		fcntl(fd, F_GETSIG) == SIGUSR1 ? "USR1"
		: fcntl(fd, F_GETSIG)	       ? "other"
					       : "none",
		(flags & O_ASYNC) != 0, (flags & O_NONBLOCK) != 0);
}

static void set(int fd, int owner, int number, int flags)
{
	if (owner)
		MUST(fcntl(fd, F_SETOWN, owner));
	if (number)
		MUST(fcntl(fd, F_SETSIG, number));
	MUST(fcntl(fd, F_SETFL, flags));
}

int main(void)
{
	struct f_owner_ex thread = {.type = F_OWNER_TID, .pid = gettid()}, got = {0};
	struct ct_addr addr;
	int listener, fd, peer;

	ct_init();
	signal(SIGIO, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);

	/* Set before listen, asynchronous or not, and it goes on to block. */
	listener = ct_bound(AF_INET);
	set(listener, getpid(), SIGUSR1, O_ASYNC);
	MUST(listen(listener, 5));
	show("listener", listener);
	addr = ct_local(listener);
	ct_prove(fd = ct_connect(AF_INET, ct_addr_port(&addr)));
	show("client of which nothing is set", fd);
	MUST(peer = accept(listener, NULL, NULL));
	show("accepted", peer);
	close(fd);
	close(peer);

	/* Not asynchronous yet when it connects. */
	fd = ct_socket(AF_INET, 0);
	set(fd, -getpgrp(), SIGUSR1, 0);
	MUST(connect(fd, SA(&addr)));
	show("client", fd);
	MUST(fcntl(listener, F_SETFL, O_ASYNC | O_NONBLOCK));
	ct_await(listener, POLLIN);
	MUST(peer = accept(listener, NULL, NULL));
	show("accepted from one that does not block", peer);
	close(fd);
	close(peer);

	fd = ct_socket(AF_INET, 0);
	MUST(fcntl(fd, F_SETOWN_EX, &thread));
	MUST(connect(fd, SA(&addr)));
	MUST(fcntl(fd, F_GETOWN_EX, &got));
	ct_note("owner: type %d, this thread %d", got.type == F_OWNER_TID, got.pid == thread.pid);
	MUST(fcntl(listener, F_SETFL, O_ASYNC));
	ct_await(listener, POLLIN);
	MUST(peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK));
	show("accepted, not to block", peer);
	return 0;
}
