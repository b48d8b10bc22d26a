/* SPDX-License-Identifier: MIT */
/* Marks, socket states, and how options and registrations move from one socket to another. */
#include "sock.h"

#include "epoll.h"
#include "pages.h"
#include "raw.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

/*
 * Theory. A mapped connect must cost few system calls, and a socket has dozens of options. So the
 * process remembers which options it has ever set on any socket (a bit each, in `noted`), and only
 * those are read from the socket that is replaced. Options set before an exec, on a socket that is
 * connected after it, are the one case this does not see.
 */

struct option {
	int level, name;
	socklen_t size;
};

/* What AF_UNIX sockets keep as well. Their bits in `noted` come after those of enum qs_option. */
static const struct option kept[] = {
	{SOL_SOCKET, SO_REUSEADDR, sizeof(int)},
	{SOL_SOCKET, SO_LINGER, sizeof(struct linger)},
	{SOL_SOCKET, SO_RCVBUF, sizeof(int)},
	{SOL_SOCKET, SO_SNDBUF, sizeof(int)},
	{SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval)},
	{SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval)},
	{SOL_SOCKET, SO_PRIORITY, sizeof(int)},
	{SOL_SOCKET, SO_OOBINLINE, sizeof(int)},
	{SOL_SOCKET, SO_MARK, sizeof(int)},
	{SOL_SOCKET, SO_BINDTODEVICE, 16},
	{SOL_SOCKET, SO_RCVLOWAT, sizeof(int)},
	{SOL_SOCKET, SO_KEEPALIVE, sizeof(int)},
};
#define N_KEPT (sizeof(kept) / sizeof(kept[0]))

static const struct option stored[QS_OPT_MAX] = {
	[QS_OPT_NODELAY] = {IPPROTO_TCP, TCP_NODELAY, sizeof(int)},
	[QS_OPT_CORK] = {IPPROTO_TCP, TCP_CORK, sizeof(int)},
	[QS_OPT_QUICKACK] = {IPPROTO_TCP, TCP_QUICKACK, sizeof(int)},
	[QS_OPT_MAXSEG] = {IPPROTO_TCP, TCP_MAXSEG, sizeof(int)},
	[QS_OPT_KEEPIDLE] = {IPPROTO_TCP, TCP_KEEPIDLE, sizeof(int)},
	[QS_OPT_KEEPINTVL] = {IPPROTO_TCP, TCP_KEEPINTVL, sizeof(int)},
	[QS_OPT_KEEPCNT] = {IPPROTO_TCP, TCP_KEEPCNT, sizeof(int)},
	[QS_OPT_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT, sizeof(int)},
	[QS_OPT_DEFER_ACCEPT] = {IPPROTO_TCP, TCP_DEFER_ACCEPT, sizeof(int)},
	[QS_OPT_TOS] = {IPPROTO_IP, IP_TOS, sizeof(int)},
	[QS_OPT_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS, sizeof(int)},
	[QS_OPT_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY, sizeof(int)},
	[QS_OPT_SYNCNT] = {IPPROTO_TCP, TCP_SYNCNT, sizeof(int)},
	[QS_OPT_LINGER2] = {IPPROTO_TCP, TCP_LINGER2, sizeof(int)},
	[QS_OPT_WINDOW_CLAMP] = {IPPROTO_TCP, TCP_WINDOW_CLAMP, sizeof(int)},
	[QS_OPT_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, sizeof(int)},
};
#define BIT_CONGESTION (QS_OPT_MAX + N_KEPT)
#define BIT_KEPT(i) (QS_OPT_MAX + (i))
_Static_assert(BIT_CONGESTION < 64, "one word of bits");

static _Atomic uint64_t noted;

static bool is_noted(unsigned bit)
{
	return atomic_load_explicit(&noted, memory_order_relaxed) >> bit & 1;
}

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

bool qs_sock_option_name(enum qs_option option, int *level, int *name)
{
	if (option >= QS_OPT_MAX)
		return false;
	*level = stored[option].level;
	*name = stored[option].name;
	return true;
}

int qs_sock_option_index(int level, int name)
{
	for (int i = 0; i < QS_OPT_MAX; i++)
		if (stored[i].level == level && stored[i].name == name)
			return i;
	return -1;
}

void qs_sock_note_option(int level, int name)
{
	uint64_t bits = 0;
	int index = qs_sock_option_index(level, name);

	if (index >= 0)
		bits |= UINT64_C(1) << index;
	if (level == SOL_SOCKET)
		for (unsigned i = 0; i < N_KEPT; i++)
			if (kept[i].name == name)
				bits |= UINT64_C(1) << BIT_KEPT(i);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		bits |= UINT64_C(1) << BIT_CONGESTION;
	if ((atomic_load_explicit(&noted, memory_order_relaxed) & bits) != bits)
		atomic_fetch_or_explicit(&noted, bits, memory_order_relaxed);
}

static bool is_kept_noted(int name)
{
	for (unsigned i = 0; i < N_KEPT; i++)
		if (kept[i].name == name)
			return is_noted(BIT_KEPT(i));
	return false;
}

uint32_t qs_sock_sndbuf(int fd)
{
	int value = 0;
	socklen_t len = sizeof(value);

	if (!is_kept_noted(SO_SNDBUF))
		return 0;
	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &len) == 0 && value > 0 ?
		       (uint32_t)value :
		       0;
}

void qs_sock_route(int fd, uint32_t *mark, char *device, socklen_t device_len)
{
	socklen_t len = sizeof(*mark);

	if (is_kept_noted(SO_MARK))
		qs_sys_getsockopt(fd, SOL_SOCKET, SO_MARK, mark, &len);
	if (is_kept_noted(SO_BINDTODEVICE) &&
	    qs_sys_getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &device_len) < 0)
		device[0] = '\0';
}

bool qs_sock_is_bound(const struct qs_addr *addr)
{
	static const uint8_t none[16];

	return addr->port ||
	       memcmp(addr->ip, none, addr->family == AF_INET ? 4 : sizeof(addr->ip)) != 0;
}

static void copy_sigio(int from, int to)
{
	int flags = qs_sys_fcntl(from, F_GETFL, 0);
	int owner;

	if (flags < 0 || !(flags & O_ASYNC))
		return;
	owner = qs_sys_fcntl(from, F_GETOWN, 0);
	qs_sys_fcntl(to, F_SETOWN, owner);
	qs_sys_fcntl(to, F_SETSIG, qs_sys_fcntl(from, F_GETSIG, 0));
	qs_sys_fcntl(to, F_SETFL, flags & (O_ASYNC | O_NONBLOCK));
}

void qs_sock_copy(int from, int to, bool sndbuf)
{
	copy_sigio(from, to);
	if (!(atomic_load_explicit(&noted, memory_order_relaxed) >> QS_OPT_MAX))
		return;
	for (unsigned i = 0; i < N_KEPT; i++) {
		union {
			int number;
			struct linger linger;
			struct timeval time;
			char text[16];
		} value;
		socklen_t len = kept[i].size;

		if (!is_noted(BIT_KEPT(i)) || (kept[i].name == SO_SNDBUF && !sndbuf))
			continue;
		memset(&value, 0, sizeof(value));
		if (qs_sys_getsockopt(from, SOL_SOCKET, kept[i].name, &value, &len) < 0)
			continue;
		if (kept[i].name == SO_RCVBUF || kept[i].name == SO_SNDBUF)
			value.number /= 2;
		qs_sys_setsockopt(to, SOL_SOCKET, kept[i].name, &value, len);
	}
}

void qs_sock_collect(int fd, struct qs_options *out)
{
	struct linger linger = {0};
	socklen_t len;

	if (!atomic_load_explicit(&noted, memory_order_relaxed))
		return;
	for (unsigned i = 0; i < QS_OPT_MAX; i++) {
		int value = 0;

		len = sizeof(value);
		if (is_noted(i) &&
		    qs_sys_getsockopt(fd, stored[i].level, stored[i].name, &value, &len) == 0) {
			out->set |= 1u << i;
			out->value[i] = value;
		}
	}
	len = sizeof(out->congestion);
	if (is_noted(BIT_CONGESTION) &&
	    qs_sys_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out->congestion, &len) < 0)
		out->congestion[0] = '\0';
	len = sizeof(linger);
	if (is_kept_noted(SO_LINGER) &&
	    qs_sys_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0) {
		out->linger_on = linger.l_onoff != 0;
		out->linger_s = (uint16_t)(linger.l_linger > UINT16_MAX ? UINT16_MAX :
									 linger.l_linger);
	}
}

void qs_sock_spread(int fd, const struct qs_options *options, bool v6)
{
	for (unsigned i = 0; i < QS_OPT_MAX; i++)
		if (options->set >> i & 1 && (stored[i].level != IPPROTO_IPV6 || v6))
			qs_sys_setsockopt(fd, stored[i].level, stored[i].name, &options->value[i],
					  sizeof(options->value[i]));
	if (options->congestion[0])
		qs_sys_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options->congestion,
				  (socklen_t)strnlen(options->congestion,
						     sizeof(options->congestion)));
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
	qs_sock_copy(fd, fresh, true);
	if (options)
		qs_sock_spread(fresh, options, mark->v6);
	return qs_sock_replace(fd, fresh);
}
