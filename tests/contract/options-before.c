/* SPDX-License-Identifier: MIT */
/* Options set before connect are read back after it, and had their value all along. */
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
	{IPPROTO_TCP, TCP_CORK, 0, "TCP_CORK"},
	{SOL_SOCKET, SO_SNDBUF, 30000, "SO_SNDBUF"},
	{SOL_SOCKET, SO_RCVBUF, 50000, "SO_RCVBUF"},
	{SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"},
	{SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE"},
	{IPPROTO_IP, IP_TOS, 0x10, "IP_TOS"},
	{SOL_SOCKET, SO_PRIORITY, 5, "SO_PRIORITY"},
};

static void show(int fd, const char *when)
{
	for (size_t i = 0; i < COUNT(options); i++) {
		int value = -1;
		socklen_t size = sizeof(value);
		int result = getsockopt(fd, options[i].level, options[i].option, &value, &size);

		ct_note("%s: %s = %d, %d", when, options[i].name, result, value);
	}
}

int main(void)
{
	struct ct_addr addr;
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	for (size_t i = 0; i < COUNT(options); i++)
		MUST(setsockopt(fd, options[i].level, options[i].option, &options[i].value,
				sizeof(int)));
	show(fd, "before");
	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	show(fd, "after");
	return 0;
}
