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

/* Those that name where the packets go, one that only the privileged may set, and those whose value TCP changes by
 * itself once it is connected. */
static void set_routing(int fd)
{
	int mark = 77, value = 0;

	TRY(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	TRY(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &value, sizeof(value)));
	TRY(setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &value, sizeof(value)));
	value = 1000;
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, sizeof(value)));
}

static void show_number(int fd, const char *when, const char *name, int level, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	MUST(getsockopt(fd, level, option, &value, &size));
	ct_note("%s: %s = %d", when, name, value);
}

static void show_routing(int fd, const char *when, bool own)
{
	char device[16] = "";
	socklen_t size = sizeof(device);

	MUST(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size));
	ct_note("%s: SO_BINDTODEVICE = %s, length %d", when, device, (int)size);
	show_number(fd, when, "SO_MARK", SOL_SOCKET, SO_MARK);
	if (own) {
		show_number(fd, when, "TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK);
		show_number(fd, when, "SO_INCOMING_CPU", SOL_SOCKET, SO_INCOMING_CPU);
		show_number(fd, when, "TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG);
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
	set_routing(fd);
	show_routing(fd, "before", true);
	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	show(fd, "after");
	show_routing(fd, "after", false);
	return 0;
}
