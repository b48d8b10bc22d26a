/* SPDX-License-Identifier: MIT */
/* Options are set and read where no descriptor is left. */
#include "harness.h"

#include <sys/resource.h>

static const struct option {
	int level, option, value;
	const char *name;
} options[] = {
	{IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"},
	{IPPROTO_TCP, TCP_KEEPIDLE, 33, "TCP_KEEPIDLE"},
	{IPPROTO_TCP, TCP_KEEPINTVL, 11, "TCP_KEEPINTVL"},
	{IPPROTO_TCP, TCP_KEEPCNT, 4, "TCP_KEEPCNT"},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 12345, "TCP_USER_TIMEOUT"},
	{IPPROTO_TCP, TCP_SYNCNT, 3, "TCP_SYNCNT"},
	{IPPROTO_TCP, TCP_LINGER2, 5, "TCP_LINGER2"},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384, "TCP_NOTSENT_LOWAT"},
	{IPPROTO_IP, IP_TTL, 33, "IP_TTL"},
	{IPPROTO_IP, IP_TOS, 0x10, "IP_TOS"},
	{IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND"},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "IP_MTU_DISCOVER"},
	{IPPROTO_IP, IP_RECVTTL, 1, "IP_RECVTTL"},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 3, "IPV6_UNICAST_HOPS"},
	{IPPROTO_TCP, 199, 1, "unknown"},
	{99, 1, 1, "unknown level"},
};

/* An administrator may have changed the defaults of some. */
static bool is_by_system(int option)
{
	return option == TCP_KEEPIDLE || option == TCP_KEEPINTVL || option == TCP_KEEPCNT ||
	       option == TCP_SYNCNT || option == TCP_LINGER2 || option == IP_TTL ||
	       option == IP_MTU_DISCOVER;
}

static void show(int fd, const char *when, bool all)
{
	for (size_t i = 0; i < COUNT(options); i++) {
		int value = -1;
		socklen_t size = sizeof(value);
		int result = getsockopt(fd, options[i].level, options[i].option, &value, &size);

		ct_note("%s: %s = %d, %d, %s", when, options[i].name, result,
			result < 0 || (!all && is_by_system(options[i].option)) ? 0 : value,
			result < 0 ? strerrorname_np(errno) : "-");
	}
}

int main(void)
{
	struct rlimit usual, limit;
	int pair[2], last;

	ct_init();
	ct_pair(pair);
	last = MUST(dup(pair[0]));
	MUST(getrlimit(RLIMIT_NOFILE, &usual));
	limit = (struct rlimit){(rlim_t)last + 1, usual.rlim_max};
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	TRY(dup(pair[0]));
	show(pair[0], "before", false);
	for (size_t i = 0; i < COUNT(options); i++)
		ct_note("set %s: %d", options[i].name,
			setsockopt(pair[0], options[i].level, options[i].option, &options[i].value,
				   sizeof(int)) < 0
				? errno
				: 0);
	show(pair[0], "after", true);
	TRY(setsockopt(pair[0], IPPROTO_TCP, TCP_SYNCNT, &last, 1));
	TRY(write(pair[0], "hello", 5));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	MUST(setrlimit(RLIMIT_NOFILE, &usual)); /* a sanitizer's last look needs some */
	return 0;
}
