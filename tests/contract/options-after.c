/* SPDX-License-Identifier: MIT */
/* Options changed on a connection, both ends: defaults first, then what was set. */
#include "harness.h"

struct option {
	int level, option, value;
	const char *name;
};

static const struct option options[] = {
	{IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"},
	{SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"},
	{IPPROTO_TCP, TCP_KEEPIDLE, 33, "TCP_KEEPIDLE"},
	{IPPROTO_TCP, TCP_KEEPINTVL, 11, "TCP_KEEPINTVL"},
	{IPPROTO_TCP, TCP_KEEPCNT, 4, "TCP_KEEPCNT"},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 12345, "TCP_USER_TIMEOUT"},
	{IPPROTO_TCP, TCP_CORK, 1, "TCP_CORK"},
	{SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"},
	{SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE"},
	{SOL_SOCKET, SO_PRIORITY, 3, "SO_PRIORITY"},
	{IPPROTO_IP, IP_TOS, 0x08, "IP_TOS"},
};

static void show(int fd, const char *who)
{
	for (size_t i = 0; i < COUNT(options); i++) {
		int value = -1, result;
		socklen_t size = sizeof(value);

		MUST(getsockopt(fd, options[i].level, options[i].option, &value, &size));
		result = setsockopt(fd, options[i].level, options[i].option, &options[i].value,
				    sizeof(int));
		ct_note("%s: %s default %d, set %d", who, options[i].name, value, result);
		MUST(getsockopt(fd, options[i].level, options[i].option, &value, &size));
		ct_note("%s: %s then %d", who, options[i].name, value);
	}
}

int main(void)
{
	int pair[2], big = 100000, small = 20000, value;
	socklen_t size = sizeof(value);

	ct_init();
	ct_pair(pair);
	show(pair[0], "client");
	show(pair[1], "server");
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big)));
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	MUST(getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &value, &size));
	ct_note("SO_SNDBUF %d", value);
	MUST(getsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &value, &size));
	ct_note("SO_RCVBUF %d", value);
	return 0;
}
