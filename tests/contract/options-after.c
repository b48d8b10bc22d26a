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

/* What only the privileged may set, what is no number, and what TCP may change again by itself: only what is set is
 * compared, and read back at once. */
static void show_others(int fd, const char *who)
{
	static const struct option numbers[] = {
		{SOL_SOCKET, SO_MARK, 77, "SO_MARK"},
		{SOL_SOCKET, SO_INCOMING_CPU, 0, "SO_INCOMING_CPU"},
		{IPPROTO_TCP, TCP_QUICKACK, 0, "TCP_QUICKACK"},
		{IPPROTO_TCP, TCP_QUICKACK, 1, "TCP_QUICKACK"},
	};
	char device[16] = "";
	socklen_t size = sizeof(device);
	int mss = 700;

	ct_note("%s", who);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const struct option *one = &numbers[i];
		int value = -1, result, error;

		size = sizeof(value);
		result = setsockopt(fd, one->level, one->option, &one->value, sizeof(int));
		error = result < 0 ? errno : 0;
		MUST(getsockopt(fd, one->level, one->option, &value, &size));
		ct_note("%s %d: %s, then %d", one->name, one->value,
			error ? strerrorname_np(error) : "set", value);
	}
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)));
	mss = 70000;
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)));
	size = sizeof(device);
	TRY(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size));
	ct_note("device '%s', length %d", device, (int)size);
	TRY(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8));
	TRY(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	size = sizeof(device);
	TRY(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size));
	ct_note("device '%s', length %d", device, (int)size);
	MUST(ct_write_full(fd, "still", 5));
}

int main(void)
{
	int pair[2], big = 100000, small = 20000, value;
	socklen_t size = sizeof(value);

	ct_init();
	ct_pair(pair);
	show(pair[0], "client");
	show(pair[1], "server");
	show_others(pair[0], "client");
	show_others(pair[1], "server");
	CHECK(ct_read_full(pair[0], (char[5]){0}, 5) == 5);
	CHECK(ct_read_full(pair[1], (char[5]){0}, 5) == 5);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big)));
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	MUST(getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &value, &size));
	ct_note("SO_SNDBUF %d", value);
	MUST(getsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &value, &size));
	ct_note("SO_RCVBUF %d", value);
	return 0;
}
