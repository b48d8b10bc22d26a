/* SPDX-License-Identifier: MIT */
/* Socket options: which the app has set, and how they get from one socket to another. */
#include "option.h"

#include "raw.h"
#include "state.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

/*
 * Theory. A mapped connect must cost few system calls, and a socket has dozens of options. So the
 * process remembers which options it has ever set on any socket (a bit each, in `noted`; a few others by name), and only
 * those are read from the socket that is replaced. Options set before an exec, on a socket that is
 * connected after it, are the one case this does not see.
 */

struct option {
	int level, name;
	socklen_t size;
	bool has_effect; /* with QUIC, be it because QUIC does nothing else */
};

/* What AF_UNIX sockets keep as well. Their bits in `noted` come after those of enum qs_option. */
static const struct option kept[] = {
	{SOL_SOCKET, SO_REUSEADDR, sizeof(int), true},
	{SOL_SOCKET, SO_LINGER, sizeof(struct linger), true},
	{SOL_SOCKET, SO_RCVBUF, sizeof(int), true},
	{SOL_SOCKET, SO_SNDBUF, sizeof(int), true},
	{SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval), true},
	{SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval), true},
	{SOL_SOCKET, SO_PRIORITY, sizeof(int), true},
	{SOL_SOCKET, SO_OOBINLINE, sizeof(int), true},
	{SOL_SOCKET, SO_MARK, sizeof(int), true},
	{SOL_SOCKET, SO_BINDTODEVICE, 16, true},
	{SOL_SOCKET, SO_RCVLOWAT, sizeof(int), true},
	{SOL_SOCKET, SO_KEEPALIVE, sizeof(int), true},
	{SOL_SOCKET, SO_BROADCAST, sizeof(int), true},
	{SOL_SOCKET, SO_DONTROUTE, sizeof(int), true},
	{SOL_SOCKET, SO_DEBUG, sizeof(int), true},
	{SOL_SOCKET, SO_BUSY_POLL, sizeof(int), true},
	{SOL_SOCKET, SO_TIMESTAMP, sizeof(int), true},
	{SOL_SOCKET, SO_TIMESTAMPNS, sizeof(int), true},
	{SOL_SOCKET, SO_PEEK_OFF, sizeof(int), true},
	{SOL_SOCKET, SO_SELECT_ERR_QUEUE, sizeof(int), true},
	{SOL_SOCKET, SO_LOCK_FILTER, sizeof(int), true},
};
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SOCK_SNDBUF_LOCK /* in <linux/socket.h> only */
#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2
#endif
#define N_KEPT (sizeof(kept) / sizeof(kept[0]))

/* What goes to the option page: enum qs_option, then those whose value is an octet (see
 * qs_option_read). */
#define N_SMALL 8
#define N_STORED (QS_OPT_MAX + N_SMALL)
static const struct option stored[N_STORED] = {
	[QS_OPT_NODELAY] = {IPPROTO_TCP, TCP_NODELAY, sizeof(int), true},
	[QS_OPT_CORK] = {IPPROTO_TCP, TCP_CORK, sizeof(int), false},
	[QS_OPT_QUICKACK] = {IPPROTO_TCP, TCP_QUICKACK, sizeof(int), false},
	[QS_OPT_MAXSEG] = {IPPROTO_TCP, TCP_MAXSEG, sizeof(int), false},
	[QS_OPT_KEEPIDLE] = {IPPROTO_TCP, TCP_KEEPIDLE, sizeof(int), false},
	[QS_OPT_KEEPINTVL] = {IPPROTO_TCP, TCP_KEEPINTVL, sizeof(int), false},
	[QS_OPT_KEEPCNT] = {IPPROTO_TCP, TCP_KEEPCNT, sizeof(int), false},
	[QS_OPT_USER_TIMEOUT] = {IPPROTO_TCP, TCP_USER_TIMEOUT, sizeof(int), true},
	[QS_OPT_DEFER_ACCEPT] = {IPPROTO_TCP, TCP_DEFER_ACCEPT, sizeof(int), false},
	[QS_OPT_TOS] = {IPPROTO_IP, IP_TOS, sizeof(int), false},
	[QS_OPT_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS, sizeof(int), false},
	[QS_OPT_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY, sizeof(int), true},
	[QS_OPT_SYNCNT] = {IPPROTO_TCP, TCP_SYNCNT, sizeof(int), false},
	[QS_OPT_LINGER2] = {IPPROTO_TCP, TCP_LINGER2, sizeof(int), false},
	[QS_OPT_WINDOW_CLAMP] = {IPPROTO_TCP, TCP_WINDOW_CLAMP, sizeof(int), false},
	[QS_OPT_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, sizeof(int), true},
	[QS_OPT_MAX] = {SOL_SOCKET, SO_REUSEPORT, sizeof(int), true},
	{IPPROTO_IP, IP_TTL, sizeof(int), false},
	{IPPROTO_IP, IP_MTU_DISCOVER, sizeof(int), false},
	{IPPROTO_IP, IP_FREEBIND, sizeof(int), true},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, sizeof(int), false},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, sizeof(int), false},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, sizeof(int), true},
	{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, sizeof(int), false},
};
#define BIT_CONGESTION (N_STORED + N_KEPT)
#define BIT_KEPT(i) (N_STORED + (i))
_Static_assert(BIT_CONGESTION < 64, "one word of bits");

static _Atomic uint64_t noted;

/*
 * Any other option of TCP, IP or IPv6 that was ever set: RARE_SET, the level and the name, an octet each. The first so
 * many; 0 = none. Those of multicast are for other sockets.
 */
#define N_RARE_NOTED 16
#define RARE_SET 0x10000u
static _Atomic uint32_t rare_noted[N_RARE_NOTED];

static bool is_noted(unsigned bit)
{
	return atomic_load_explicit(&noted, memory_order_relaxed) >> bit & 1;
}

int qs_option_index(int level, int name)
{
	for (int i = 0; i < N_STORED; i++)
		if (stored[i].level == level && stored[i].name == name)
			return i;
	return -1;
}

bool qs_option_read(const struct qs_options *options, int index, int *value)
{
	if (index < QS_OPT_MAX) {
		if (!(__atomic_load_n(&options->set, __ATOMIC_ACQUIRE) >> index & 1))
			return false;
		*value = __atomic_load_n(&options->value[index], __ATOMIC_RELAXED);
		return true;
	}
	index -= QS_OPT_MAX;
	if (!(__atomic_load_n(&options->small_set, __ATOMIC_ACQUIRE) >> index & 1))
		return false;
	*value = __atomic_load_n(&options->small[index], __ATOMIC_RELAXED);
	return true;
}

void qs_option_count_ignored(struct qs_options *options)
{
	__atomic_fetch_add(&options->ignored, 1, __ATOMIC_RELAXED);
}

void qs_option_write(struct qs_options *options, int index, int value)
{
	if (!stored[index].has_effect)
		qs_option_count_ignored(options);
	if (index < QS_OPT_MAX) {
		__atomic_store_n(&options->value[index], value, __ATOMIC_RELAXED);
		__atomic_fetch_or(&options->set, 1u << index, __ATOMIC_RELEASE);
		return;
	}
	index -= QS_OPT_MAX;
	__atomic_store_n(&options->small[index], (uint8_t)value, __ATOMIC_RELAXED);
	__atomic_fetch_or(&options->small_set, (uint8_t)(1u << index), __ATOMIC_RELEASE);
}

#define N_RARE (sizeof(((struct qs_options *)0)->rare) / sizeof(((struct qs_options *)0)->rare[0]))

/* Its place among those that are kept, or the next free one; N_RARE if there is none. */
static unsigned find_rare(const struct qs_options *options, int level, int name)
{
	unsigned n = __atomic_load_n(&options->n_rare, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < n && i < N_RARE; i++)
		if (options->rare[i].level == level && options->rare[i].name == name)
			return i;
	return n < N_RARE ? n : N_RARE;
}

bool qs_option_rare_read(const struct qs_options *options, int level, int name, int *value)
{
	unsigned i = find_rare(options, level, name);

	if (i >= __atomic_load_n(&options->n_rare, __ATOMIC_ACQUIRE) || i >= N_RARE)
		return false;
	*value = options->rare[i].value;
	return true;
}

void qs_option_rare_write(struct qs_options *options, int level, int name, int value)
{
	unsigned i = find_rare(options, level, name);

	if (i >= N_RARE || level < 0 || level > UINT8_MAX || name < 0 || name > UINT8_MAX)
		return;
	options->rare[i].level = (uint8_t)level;
	options->rare[i].name = (uint8_t)name;
	options->rare[i].value = value;
	if (i == __atomic_load_n(&options->n_rare, __ATOMIC_RELAXED))
		__atomic_store_n(&options->n_rare, (uint8_t)(i + 1), __ATOMIC_RELEASE);
}

static bool is_multicast(int level, int name)
{
	return (level == IPPROTO_IP && name >= IP_MULTICAST_IF && name <= IP_MULTICAST_ALL) ||
	       (level == IPPROTO_IPV6 && ((name >= IPV6_MULTICAST_IF && name <= IPV6_LEAVE_GROUP) ||
					  (name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER)));
}

static void note_rare(int level, int name)
{
	uint32_t pair = RARE_SET | (uint32_t)level << 8 | (uint32_t)name;

	if ((level != IPPROTO_TCP && level != IPPROTO_IP && level != IPPROTO_IPV6) || name < 0 ||
	    name > UINT8_MAX || is_multicast(level, name))
		return;
	for (unsigned i = 0; i < N_RARE_NOTED; i++) {
		uint32_t found = atomic_load_explicit(&rare_noted[i], memory_order_relaxed);

		if (!found && atomic_compare_exchange_strong(&rare_noted[i], &found, pair))
			return;
		if (found == pair)
			return;
	}
}

/* What is 0 is taken for never set: sockets of other kinds are noted too, and there are few places. */
static void collect_rare(int fd, struct qs_options *out)
{
	for (unsigned i = 0; i < N_RARE_NOTED; i++) {
		uint32_t pair = atomic_load_explicit(&rare_noted[i], memory_order_relaxed);
		int level = (int)(pair >> 8 & 0xff), name = (int)(pair & 0xff), value = 0;
		socklen_t len = sizeof(value);

		if (!pair)
			return;
		if (qs_sys_getsockopt(fd, level, name, &value, &len) < 0 || len != sizeof(value) ||
		    !value)
			continue;
		qs_option_rare_write(out, level, name, value);
		qs_option_count_ignored(out);
	}
}

void qs_option_note(int level, int name)
{
	uint64_t bits = 0;
	int index = qs_option_index(level, name);

	if (index >= 0)
		bits |= UINT64_C(1) << index;
	if (level == SOL_SOCKET)
		for (unsigned i = 0; i < N_KEPT; i++)
			if (kept[i].name == name)
				bits |= UINT64_C(1) << BIT_KEPT(i);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION)
		bits |= UINT64_C(1) << BIT_CONGESTION;
	if (!bits) {
		note_rare(level, name);
		return;
	}
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

uint32_t qs_option_sndbuf(int fd)
{
	int value = 0;
	socklen_t len = sizeof(value);

	if (!is_kept_noted(SO_SNDBUF))
		return 0;
	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &len) == 0 && value > 0
		       ? (uint32_t)value
		       : 0;
}

void qs_option_route(int fd, uint32_t *mark, char *device, socklen_t device_len)
{
	socklen_t len = sizeof(*mark);

	if (is_kept_noted(SO_MARK))
		qs_sys_getsockopt(fd, SOL_SOCKET, SO_MARK, mark, &len);
	if (is_kept_noted(SO_BINDTODEVICE) &&
	    qs_sys_getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &device_len) < 0)
		device[0] = '\0';
}

/* The app has set this size of a buffer: else the kernel tunes it, and a copy would end that. */
static bool is_locked(int fd, int name)
{
	int locks = 0;
	socklen_t len = sizeof(locks);

	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &len) < 0 ||
	       (locks & (name == SO_SNDBUF ? SOCK_SNDBUF_LOCK : SOCK_RCVBUF_LOCK));
}

/* Not under a filter of the program's (sandbox_calls.c). */
bool qs_option_may_signal(void)
{
	return !atomic_load_explicit(&qs_state.filtered, memory_order_relaxed) &&
	       !atomic_load_explicit(&qs_state.sandboxed, memory_order_relaxed);
}

/* Who gets which signal, whether or not O_ASYNC is on yet; that comes when the socket is in its place. */
static void copy_sigio(int from, int to)
{
	struct f_owner_ex owner;
	int number;

	if (!qs_option_may_signal())
		return;
	number = qs_sys_fcntl(from, F_GETSIG, 0);
	if (qs_sys_fcntl(from, F_GETOWN_EX, (long)&owner) == 0 && owner.pid)
		qs_sys_fcntl(to, F_SETOWN_EX, (long)&owner);
	if (number > 0)
		qs_sys_fcntl(to, F_SETSIG, number);
}

void qs_option_start_signals(int fd, int old_flags)
{
	int flags;

	if (old_flags < 0 || !(old_flags & O_ASYNC) || !qs_option_may_signal())
		return;
	flags = qs_sys_fcntl(fd, F_GETFL, 0);
	if (flags >= 0)
		qs_sys_fcntl(fd, F_SETFL, flags | O_ASYNC);
}

void qs_option_copy(int from, int to, bool sndbuf)
{
	copy_sigio(from, to);
	qs_option_inherit(from, to, sndbuf);
}

void qs_option_inherit(int from, int to, bool sndbuf)
{
	if (!(atomic_load_explicit(&noted, memory_order_relaxed) >> N_STORED))
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
		if ((kept[i].name == SO_RCVBUF || kept[i].name == SO_SNDBUF) &&
		    !is_locked(from, kept[i].name))
			continue;
		memset(&value, 0, sizeof(value));
		if (qs_sys_getsockopt(from, SOL_SOCKET, kept[i].name, &value, &len) < 0)
			continue;
		/* Either of them, cleared, clears the other. */
		if ((kept[i].name == SO_TIMESTAMP || kept[i].name == SO_TIMESTAMPNS) &&
		    !value.number)
			continue;
		if (kept[i].name == SO_RCVBUF || kept[i].name == SO_SNDBUF)
			value.number /= 2;
		qs_sys_setsockopt(to, SOL_SOCKET, kept[i].name, &value, len);
	}
}

void qs_option_collect(int fd, struct qs_options *out)
{
	struct linger linger = {0};
	socklen_t len;

	collect_rare(fd, out);
	if (!atomic_load_explicit(&noted, memory_order_relaxed))
		return;
	for (int i = 0; i < N_STORED; i++) {
		int value = 0;

		len = sizeof(value);
		if (is_noted((unsigned)i) &&
		    qs_sys_getsockopt(fd, stored[i].level, stored[i].name, &value, &len) == 0)
			qs_option_write(out, i, value);
	}
	len = sizeof(out->congestion);
	if (is_noted(BIT_CONGESTION)) {
		if (qs_sys_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out->congestion, &len) == 0)
			qs_option_count_ignored(out);
		else
			out->congestion[0] = '\0';
	}
	len = sizeof(linger);
	if (is_kept_noted(SO_LINGER) &&
	    qs_sys_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0) {
		out->linger_on = linger.l_onoff != 0;
		out->linger_s =
			(uint16_t)(linger.l_linger > UINT16_MAX ? UINT16_MAX : linger.l_linger);
	}
}

void qs_option_spread(int fd, const struct qs_options *options, bool v6)
{
	for (int i = 0; i < N_STORED; i++) {
		int value;

		if ((stored[i].level != IPPROTO_IPV6 || v6) && qs_option_read(options, i, &value))
			qs_sys_setsockopt(fd, stored[i].level, stored[i].name, &value,
					  sizeof(value));
	}
	for (unsigned i = 0; i < options->n_rare && i < N_RARE; i++) {
		int value = options->rare[i].value;

		if (options->rare[i].level != SOL_SOCKET &&
		    (options->rare[i].level != IPPROTO_IPV6 || v6))
			qs_sys_setsockopt(fd, options->rare[i].level, options->rare[i].name, &value,
					  sizeof(value));
	}
	if (options->congestion[0])
		qs_sys_setsockopt(
			fd, IPPROTO_TCP, TCP_CONGESTION, options->congestion,
			(socklen_t)strnlen(options->congestion, sizeof(options->congestion)));
}
