/* SPDX-License-Identifier: MIT */
/* Seldom used options, each set before connect on a socket of its own: read back after it, and on what becomes of it. */
#include "harness.h"

#ifndef TCP_INQ
#define TCP_INQ 36
#endif

static const struct option {
	int level, option, value;
	const char *name;
} options[] = {
	{SOL_SOCKET, SO_BROADCAST, 1, "SO_BROADCAST"},
	{SOL_SOCKET, SO_DONTROUTE, 1, "SO_DONTROUTE"},
	{SOL_SOCKET, SO_DEBUG, 1, "SO_DEBUG"},
	{SOL_SOCKET, SO_BUSY_POLL, 7, "SO_BUSY_POLL"},
	{SOL_SOCKET, SO_TIMESTAMP, 1, "SO_TIMESTAMP"},
	{SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS"},
	{SOL_SOCKET, SO_PEEK_OFF, 3, "SO_PEEK_OFF"},
	{SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1, "SO_SELECT_ERR_QUEUE"},
	{SOL_SOCKET, SO_LOCK_FILTER, 1, "SO_LOCK_FILTER"},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384, "TCP_NOTSENT_LOWAT"},
	{IPPROTO_TCP, TCP_INQ, 1, "TCP_INQ"},
	{IPPROTO_TCP, TCP_SAVE_SYN, 1, "TCP_SAVE_SYN"},
	{IPPROTO_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT"},
	{IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO"},
	{IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR"},
	{IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS"},
	{IPPROTO_IP, IP_RECVTTL, 1, "IP_RECVTTL"},
	{IPPROTO_IP, IP_MINTTL, 5, "IP_MINTTL"},
};

static void show(int fd, const char *when, const struct option *o)
{
	int value = -1;
	socklen_t size = sizeof(value);
	int result = getsockopt(fd, o->level, o->option, &value, &size);

	ct_note("%s: %s = %d, %d", when, o->name, result, value);
}

int main(void)
{
	struct ct_addr none = {.ss.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};
	struct ct_addr addr;
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	for (size_t i = 0; i < COUNT(options); i++) {
		const struct option *o = &options[i];
		int fd = ct_socket(AF_INET, 0), peer;

		ct_note("set %s: %d", o->name,
			setsockopt(fd, o->level, o->option, &o->value, sizeof(o->value)));
		MUST(connect(fd, SA(&addr)));
		ct_prove(fd);
		show(fd, "connected", o);
		/* Of another socket it is not said. */
		show(peer = ct_accept(listener), "peer", o);
		MUST(connect(fd, SA(&none)));
		show(fd, "dissolved", o);
		close(fd);
		close(peer);
	}
	return 0;
}
