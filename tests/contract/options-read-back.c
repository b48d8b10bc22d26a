/* SPDX-License-Identifier: MIT */
/* Options that few programs set: what was set is read back, and what TCP refuses is refused. */
#include "harness.h"

static const struct {
	int level, name;
	const char *text;
} options[] = {
	{IPPROTO_IP, IP_RECVTTL, "IP_RECVTTL"},
	{IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS"},
	{IPPROTO_IP, IP_RECVERR, "IP_RECVERR"},
	{IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO"},
	{IPPROTO_IP, IP_MINTTL, "IP_MINTTL"},
	{SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED"},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT"},
	{IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, "TCP_FASTOPEN_NO_COOKIE"},
};

static void play(int fd, const char *who)
{
	ct_note("%s", who);
	for (size_t i = 0; i < COUNT(options); i++) {
		int value = 1, read_back = -1;
		socklen_t size = sizeof(value);
		int rc = setsockopt(fd, options[i].level, options[i].name, &value, size);
		int error = rc < 0 ? errno : 0;

		/* A kernel may refuse to tell. */
		if (getsockopt(fd, options[i].level, options[i].name, &read_back, &size) < 0)
			read_back = -errno;
		ct_note("%s: %s, then %d", options[i].text, error ? strerrorname_np(error) : "set",
			read_back);
	}
}

static void pacing(int fd)
{
	uint64_t wide = 0;
	uint32_t narrow = 5000;
	socklen_t size = sizeof(wide);

	TRY(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, &size));
	ct_note("unlimited %d, length %u", wide == UINT64_MAX, (unsigned)size);
	TRY(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, sizeof(narrow)));
	narrow = 0;
	size = sizeof(narrow);
	TRY(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &size));
	ct_note("rate %u", narrow);
	TRY(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, 2));
}

int main(void)
{
	int pair[2], listener, mtu = 0, mss = 0, cpu = -1;
	socklen_t size = sizeof(int);

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_pair(pair);
	play(pair[0], "connected");
	play(pair[1], "accepted");
	play(listener, "listening");
	pacing(pair[0]);
	TRY(getsockopt(pair[0], IPPROTO_IP, IP_MTU, &mtu, &size));
	TRY(getsockopt(pair[0], IPPROTO_TCP, TCP_MAXSEG, &mss, &size));
	ct_note("MTU and MSS agree %d", mtu > mss && mss > 500);
	TRY(getsockopt(listener, IPPROTO_IP, IP_MTU, &mtu, &size));
	TRY(getsockopt(pair[0], SOL_SOCKET, SO_INCOMING_CPU, &cpu, &size));
	ct_note("a CPU %d", cpu >= 0);
	return 0;
}
