/* SPDX-License-Identifier: MIT */
/* Options set on a listener are those of the sockets that it accepts. */
#include "harness.h"

static void show(int fd, int level, int option, const char *name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	MUST(getsockopt(fd, level, option, &value, &size));
	ct_note("%s %d", name, value);
}

int main(void)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 7};
	struct timeval limit = {.tv_sec = 3};
	socklen_t size;
	int listener, peer, on = 1, idle = 77, buffer = 40000;

	ct_init();
	listener = ct_bound(AF_INET);
	MUST(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	MUST(setsockopt(listener, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)));
	MUST(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)));
	MUST(listen(listener, 5));
	MUST(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	MUST(setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)));
	MUST(setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	MUST(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	ct_connect(AF_INET, ct_port(listener));
	peer = ct_accept(listener);
	show(peer, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	show(peer, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE");
	show(peer, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	show(peer, SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF");
	show(peer, SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF");
	linger = (struct linger){0};
	size = sizeof(linger);
	MUST(getsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, &size));
	ct_note("SO_LINGER %d %d", linger.l_onoff, linger.l_linger);
	limit = (struct timeval){0};
	size = sizeof(limit);
	MUST(getsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, &size));
	ct_note("SO_RCVTIMEO %ld", (long)limit.tv_sec);
	return 0;
}
