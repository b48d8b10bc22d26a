/* SPDX-License-Identifier: MIT */
/* accept4 with each flag, accept with none: descriptor and status flags of the new socket. */
#include "harness.h"

static void visit(int listener, int flags, const char *name)
{
	int fd = ct_connect(AF_INET, ct_port(listener)), peer;

	ct_await(listener, POLLIN);
	peer = MUST(accept4(listener, NULL, NULL, flags));
	ct_prove(peer);
	ct_note("%s: cloexec %d nonblock %d", name, fcntl(peer, F_GETFD) & FD_CLOEXEC,
		(fcntl(peer, F_GETFL) & O_NONBLOCK) != 0);
	close(peer);
	close(fd);
}

int main(void)
{
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	visit(listener, 0, "none");
	visit(listener, SOCK_CLOEXEC, "cloexec");
	visit(listener, SOCK_NONBLOCK, "nonblock");
	visit(listener, SOCK_CLOEXEC | SOCK_NONBLOCK, "both");
	ct_nonblock(listener, true);
	MUST(fcntl(listener, F_SETFD, FD_CLOEXEC));
	visit(listener, 0, "from a listener that has both");
	TRY(accept4(listener, NULL, NULL, 1));
	return 0;
}
