/* SPDX-License-Identifier: MIT */
/* Marks, socket states, and one socket put in the place of another. */
#include "sock.h"

#include "epoll.h"
#include "option.h"
#include "pages.h"
#include "raw.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

bool qs_sock_mark(int fd, struct qs_mark *out)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, &len) == 0 &&
	       len == sizeof(value) && qs_mark_decode(value, out);
}

void qs_sock_set_mark(int fd, const struct qs_mark *mark)
{
	uint64_t value = qs_mark_encode(mark);

	qs_sys_setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, sizeof(value));
}

int qs_sock_tcp_state(int fd)
{
	uint8_t state = 0;
	socklen_t len = sizeof(state);
	int rc = qs_sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len);

	return rc < 0 ? rc : state;
}

bool qs_sock_is_bound(const struct qs_addr *addr)
{
	static const uint8_t none[16];

	return addr->port ||
	       memcmp(addr->ip, none, addr->family == AF_INET ? 4 : sizeof(addr->ip)) != 0;
}

int qs_sock_replace(int fd, int fresh)
{
	struct qs_epoll_saved saved;
	int flags = qs_sys_fcntl(fd, F_GETFD, 0);
	int rc;

	qs_epoll_take(fd, &saved);
	rc = qs_sys_dup3(fresh, fd, flags >= 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
	qs_epoll_give(fd, &saved);
	qs_sys_close(fresh);
	return rc < 0 ? rc : 0;
}

int qs_sock_renew(int fd, const struct qs_mark *mark)
{
	const struct qs_options *options = qs_pages_options(mark);
	int flags = qs_sys_fcntl(fd, F_GETFL, 0);
	int fresh = qs_sys_socket(mark->v6 ? AF_INET6 : AF_INET,
				  SOCK_STREAM | SOCK_CLOEXEC |
					  (flags >= 0 && (flags & O_NONBLOCK) ? SOCK_NONBLOCK : 0),
				  IPPROTO_TCP);

	if (fresh < 0)
		return fresh;
	qs_option_copy(fd, fresh, true);
	if (options)
		qs_option_spread(fresh, options, mark->v6);
	return qs_sock_replace(fd, fresh);
}
