/* SPDX-License-Identifier: MIT */
/* SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO, TCP_CONGESTION, TCP_DEFER_ACCEPT, IPv6's: read back. */
#include "harness.h"

static void show(int fd, const char *who)
{
	struct timeval receive = {0}, send_limit = {0};
	struct linger linger = {0};
	char congestion[16] = "";
	socklen_t size = sizeof(receive);

	MUST(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, &size));
	MUST(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_limit, &size));
	ct_note("%s: SO_RCVTIMEO %ld.%06ld SO_SNDTIMEO %ld.%06ld", who, (long)receive.tv_sec,
		(long)receive.tv_usec, (long)send_limit.tv_sec, (long)send_limit.tv_usec);
	size = sizeof(linger);
	MUST(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size));
	ct_note("%s: SO_LINGER %d %d", who, linger.l_onoff, linger.l_linger);
	size = sizeof(congestion);
	MUST(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &size));
	ct_note("%s: TCP_CONGESTION %s", who, congestion);
}

int main(void)
{
	struct timeval two = {.tv_sec = 2, .tv_usec = 500000}, three = {.tv_sec = 3};
	struct linger linger = {.l_onoff = 1, .l_linger = 4};
	int listener, fd, value, on = 1, class = 0x20, defer = 5;
	socklen_t size = sizeof(value);
	struct ct_addr addr;

	ct_init();
	listener = ct_bound(AF_INET6);
	MUST(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer)));
	MUST(getsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &value, &size));
	ct_note("TCP_DEFER_ACCEPT set %d", value > 0);
	defer = 0;
	MUST(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer)));
	MUST(listen(listener, 5));
	ct_prove(listener);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET6, 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof(two)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &three, sizeof(three)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class)));
	show(fd, "before");
	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	show(fd, "after");
	TRY(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &size));
	ct_note("IPV6_V6ONLY %d", value);
	TRY(getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, &size));
	ct_note("IPV6_TCLASS %d", value);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &three, sizeof(three)));
	linger.l_linger = 9;
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	show(fd, "changed");
	return 0;
}
