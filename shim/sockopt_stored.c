/* SPDX-License-Identifier: MIT */
/* Options of TCP, IP and IPv6 on mapped descriptors: kept in the option page, judged by a real TCP
 * socket. */
#include "sockopt.h"

#include "option.h"
#include "pages.h"
#include "raw.h"
#include "sock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/*
 * Theory. What an app sets, it must read back, and what TCP refuses must be refused with the same
 * errno. The oracle is a TCP socket made for the occasion: the option is set on it, read from it,
 * and what comes back is kept. The few that programs set on every connection are judged here,
 * without a socket. An option of enum qs_option goes to the option slot; any other has no effect,
 * is counted, and is one of the few that are kept to be read back. Where there is no descriptor for an
 * oracle, which TCP needs none of, an option that we know is taken as it is, and its default is the usual one.
 */

#define MAXSEG_UNKNOWN 1448

#ifndef TCP_INQ
#define TCP_INQ 36
#endif

static int fail(int error)
{
	errno = error;
	return -1;
}

static int result(int rc)
{
	return (int)qs_result(rc);
}

/* What a fresh TCP socket says where nobody has changed the system's defaults. */
static const struct {
	int level, name, value;
} defaults[] = {
	{SOL_SOCKET, SO_REUSEPORT, 0},
	{SOL_SOCKET, SO_PASSCRED, 0},
	{SOL_SOCKET, SO_PASSSEC, 0},
	{IPPROTO_TCP, TCP_NODELAY, 0},
	{IPPROTO_TCP, TCP_MAXSEG, 536},
	{IPPROTO_TCP, TCP_CORK, 0},
	{IPPROTO_TCP, TCP_KEEPIDLE, 7200},
	{IPPROTO_TCP, TCP_KEEPINTVL, 75},
	{IPPROTO_TCP, TCP_KEEPCNT, 9},
	{IPPROTO_TCP, TCP_SYNCNT, 6},
	{IPPROTO_TCP, TCP_LINGER2, 60},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, 0},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, 0},
	{IPPROTO_TCP, TCP_QUICKACK, 1},
	{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
	{IPPROTO_TCP, TCP_FASTOPEN, 0},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0},
	{IPPROTO_TCP, TCP_SAVE_SYN, 0},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0},
	{IPPROTO_TCP, TCP_INQ, 0},
	{IPPROTO_IP, IP_TOS, 0},
	{IPPROTO_IP, IP_TTL, 64},
	{IPPROTO_IP, IP_PKTINFO, 0},
	{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT},
	{IPPROTO_IP, IP_RECVERR, 0},
	{IPPROTO_IP, IP_RECVTTL, 0},
	{IPPROTO_IP, IP_RECVTOS, 0},
	{IPPROTO_IP, IP_FREEBIND, 0},
	{IPPROTO_IP, IP_TRANSPARENT, 0},
	{IPPROTO_IP, IP_MINTTL, 0},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT},
	{IPPROTO_IPV6, IPV6_V6ONLY, 0},
	{IPPROTO_IPV6, IPV6_TCLASS, 0},
};

/* The usual value of an option that we know, for a socket of this family. */
static const int *find_default(const struct qs_mark *mark, int level, int name)
{
	if (level == IPPROTO_IPV6 && !mark->v6)
		return NULL;
	for (unsigned i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (defaults[i].level == level && defaults[i].name == name)
			return &defaults[i].value;
	return NULL;
}

static bool is_out_of_descriptors(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

static int oracle(const struct qs_mark *mark)
{
	return qs_sys_socket(mark->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
			     IPPROTO_TCP);
}

void qs_sockopt_store(const struct qs_mark *mark, int option, int value)
{
	struct qs_options *options = qs_pages_options(mark);

	if (options)
		qs_option_write(options, option, value);
}

void qs_sockopt_ignore(const struct qs_mark *mark)
{
	struct qs_options *options = qs_pages_options(mark);

	if (options)
		qs_option_count_ignored(options);
}

static int give_usual(const struct qs_mark *mark, int level, int name, void *value, socklen_t *len)
{
	const int *usual = find_default(mark, level, name);

	if (usual)
		return qs_sockopt_give(usual, sizeof(*usual), value, len);
	return fail(level == IPPROTO_TCP || level == IPPROTO_IP || level == SOL_SOCKET || mark->v6
			    ? ENOPROTOOPT
			    : EOPNOTSUPP);
}

int qs_sockopt_default_get(const struct qs_mark *mark, int level, int name, void *value,
			   socklen_t *len)
{
	int sock = oracle(mark), rc;

	if (sock < 0)
		return is_out_of_descriptors(sock) ? give_usual(mark, level, name, value, len)
						   : fail(ENOPROTOOPT);
	rc = qs_sys_getsockopt(sock, level, name, value, len);
	qs_sys_close(sock);
	return result(rc);
}

static int get_maxseg(const struct qs_mark *mark, void *value, socklen_t *len)
{
	struct qs_path_figures figures;
	struct qs_slot_view slot;
	int mss = MAXSEG_UNKNOWN;

	if (mark->state != QS_MARK_OPEN)
		return qs_sockopt_default_get(mark, IPPROTO_TCP, TCP_MAXSEG, value, len);
	if (qs_pages_slot(mark, &slot) && qs_pages_figures(mark, slot.path, &figures) &&
	    figures.mss)
		mss = (int)figures.mss;
	return qs_sockopt_give(&mss, sizeof(mss), value, len);
}

/* As TCP's: its largest segment and the headers of TCP and IP. */
static int get_mtu(const struct qs_mark *mark, int level, void *value, socklen_t *len)
{
	int mtu = 0;
	socklen_t size = sizeof(mtu);

	if (get_maxseg(mark, &mtu, &size) < 0)
		return -1;
	mtu += level == IPPROTO_IP ? 40 : 60;
	return qs_sockopt_give(&mtu, sizeof(mtu), value, len);
}

/* What a TCP socket says before anything is set, where asking one is not worth it. -1: ask. */
static int known_default(int option)
{
	switch (option) {
	case QS_OPT_NODELAY:
	case QS_OPT_CORK:
	case QS_OPT_TOS:
		return 0;
	case QS_OPT_QUICKACK:
		return 1;
	default:
		return -1;
	}
}

int qs_sockopt_stored_get(int fd, const struct qs_mark *mark, int level, int name, void *value,
			  socklen_t *len)
{
	int option = qs_option_index(level, name), number;
	const struct qs_options *options;

	if (level == IPPROTO_TCP && name == TCP_INFO)
		return qs_sockopt_tcp_info(fd, mark, value, len);
	if (option == QS_OPT_MAXSEG)
		return get_maxseg(mark, value, len);
	if (mark->state == QS_MARK_OPEN && ((level == IPPROTO_IP && name == IP_MTU) ||
					    (level == IPPROTO_IPV6 && name == IPV6_MTU)))
		return get_mtu(mark, level, value, len);
	options = qs_pages_options(mark);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION && options && options->congestion[0])
		return qs_sockopt_give(options->congestion, sizeof(options->congestion), value,
				       len);
	if (options && (option >= 0 ? qs_option_read(options, option, &number)
				    : qs_option_rare_read(options, level, name, &number)))
		return qs_sockopt_give(&number, sizeof(number), value, len);
	number = option >= 0 ? known_default(option) : -1;
	if (number >= 0)
		return qs_sockopt_give(&number, sizeof(number), value, len);
	return qs_sockopt_default_get(mark, level, name, value, len);
}

/* True if TCP takes the value as it is, so that nobody need be asked. */
static bool is_plainly_good(int option, int *number)
{
	switch (option) {
	case QS_OPT_NODELAY:
	case QS_OPT_CORK:
		*number = *number != 0;
		return true;
	case QS_OPT_QUICKACK:
		*number &= 1;
		return true;
	case QS_OPT_KEEPIDLE:
	case QS_OPT_KEEPINTVL:
		return *number >= 1 && *number <= 32767;
	case QS_OPT_KEEPCNT:
		return *number >= 1 && *number <= 127;
	case QS_OPT_USER_TIMEOUT:
		return *number >= 0;
	default:
		return false;
	}
}

/* The kernel derives SO_PRIORITY from IP_TOS. */
static void copy_priority(int from, int to)
{
	int priority = 0;
	socklen_t len = sizeof(priority);

	if (qs_sys_getsockopt(from, SOL_SOCKET, SO_PRIORITY, &priority, &len) == 0)
		qs_sys_setsockopt(to, SOL_SOCKET, SO_PRIORITY, &priority, len);
}

/* Nobody is there to judge: keeps it as it is. */
static int take_unjudged(const struct qs_mark *mark, int option, int level, int name,
			 const void *value, socklen_t len)
{
	struct qs_options *options = qs_pages_options(mark);
	int number;

	if (!find_default(mark, level, name))
		return fail(ENOPROTOOPT);
	if (len < sizeof(number))
		return fail(EINVAL);
	memcpy(&number, value, sizeof(number));
	if (option >= 0) {
		qs_sockopt_store(mark, option, number);
		return 0;
	}
	if (options)
		qs_option_rare_write(options, level, name, number);
	qs_sockopt_ignore(mark);
	return 0;
}

/* Lets a TCP socket judge, and keeps what it makes of the value. */
static int ask_oracle(int fd, const struct qs_mark *mark, int option, int level, int name,
		      const void *value, socklen_t len)
{
	struct qs_options *options;
	char congestion[sizeof(options->congestion)] = {0};
	socklen_t number_len = sizeof(int), congestion_len = sizeof(congestion);
	int sock = oracle(mark), number = 0, rc;

	if (sock < 0)
		return is_out_of_descriptors(sock)
			       ? take_unjudged(mark, option, level, name, value, len)
			       : fail(ENOPROTOOPT);
	rc = qs_sys_setsockopt(sock, level, name, value, len);
	if (rc == 0 && option >= 0 &&
	    qs_sys_getsockopt(sock, level, name, &number, &number_len) == 0) {
		qs_sockopt_store(mark, option, number);
		if (option == QS_OPT_TOS)
			copy_priority(sock, fd);
	} else if (rc == 0 && level == IPPROTO_TCP && name == TCP_CONGESTION) {
		options = qs_pages_options(mark);
		if (options &&
		    qs_sys_getsockopt(sock, level, name, congestion, &congestion_len) == 0)
			memcpy(options->congestion, congestion, sizeof(congestion));
		qs_sockopt_ignore(mark);
	} else if (rc == 0) {
		qs_sockopt_ignore(mark);
		options = qs_pages_options(mark);
		if (options && qs_sys_getsockopt(sock, level, name, &number, &number_len) == 0 &&
		    number_len == sizeof(number))
			qs_option_rare_write(options, level, name, number);
	}
	qs_sys_close(sock);
	return result(rc);
}

int qs_sockopt_stored_set(int fd, const struct qs_mark *mark, int level, int name,
			  const void *value, socklen_t len)
{
	int option = qs_option_index(level, name), number;

	/* Not on a socket that is connected, the first not on one that listens either. */
	if (level == IPPROTO_TCP && len >= sizeof(number) &&
	    ((name == TCP_FASTOPEN_CONNECT && mark->state != QS_MARK_FAILED) ||
	     ((name == TCP_FASTOPEN || name == TCP_FASTOPEN_NO_COOKIE) &&
	      mark->state == QS_MARK_OPEN)))
		return fail(EINVAL);
	if (option >= 0 && len >= sizeof(number)) {
		memcpy(&number, value, sizeof(number));
		if (is_plainly_good(option, &number)) {
			qs_sockopt_store(mark, option, number);
			return 0;
		}
	}
	return ask_oracle(fd, mark, option, level, name, value, len);
}
