/* SPDX-License-Identifier: MIT */
/* getsockopt, setsockopt: SOL_SOCKET of mapped descriptors; the other levels are in
 * sockopt_stored.c. */
#include "sockopt.h"

#include "connect.h"
#include "option.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <string.h>
#include <sys/time.h>

/*
 * Theory. Most options of SOL_SOCKET are the kernel's on AF_UNIX too, and pass. What AF_UNIX keeps,
 * but does not act on, is mirrored to the option page (SO_KEEPALIVE, SO_LINGER); what would harm is
 * virtual: the mark lives in SO_MAX_PACING_RATE, SO_PASSCRED would put messages into the stream,
 * and a larger SO_SNDBUF before the connection is up would make the socket writable.
 */

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef SO_INQ
#define SO_INQ 84
#endif

static int fail(int error)
{
	errno = error;
	return -1;
}

int qs_sockopt_give(const void *from, socklen_t size, void *value, socklen_t *len)
{
	if ((int)*len < 0)
		return fail(EINVAL);
	if (*len > size)
		*len = size;
	memcpy(value, from, *len);
	return 0;
}

/* SO_ERROR: the errno that was not told yet; it counts as told now. */
static int take_error(int fd, struct qs_mark *mark, int native)
{
	struct qs_slot_view slot;
	int error = qs_connect_take_error(fd, mark, 0);

	if (error)
		return error;
	if (mark->state != QS_MARK_OPEN || mark->error == QS_TOLD_END)
		return 0;
	error = native;
	if (qs_pages_slot(mark, &slot) && slot.state == QS_SLOT_ENDED && slot.error)
		error = slot.error;
	if (!error || !qs_pages_take_error(mark))
		return 0;
	mark->error = QS_TOLD_END;
	qs_sock_set_mark(fd, mark);
	return error;
}

static bool is_virtual_get(int name)
{
	switch (name) {
	case SO_ERROR:
	case SO_DOMAIN:
	case SO_PROTOCOL:
	case SO_MAX_PACING_RATE:
	case SO_PEERCRED:
	case SO_PEERGROUPS:
	case SO_PEERPIDFD:
	case SO_REUSEPORT:
	case SO_PASSCRED:
	case SO_PASSSEC:
	case SO_PASSPIDFD:
	case SO_PASSRIGHTS:
	case SO_INQ:
	case SO_INCOMING_CPU:
		return true;
	}
	return false;
}

static int get_pacing(const struct qs_mark *mark, void *value, socklen_t *len)
{
	const struct qs_options *options = qs_pages_options(mark);
	uint64_t rate = options ? (uint64_t)options->pacing[1] << 32 | options->pacing[0] : 0;
	uint32_t narrow;

	if (!rate)
		rate = UINT64_MAX;
	narrow = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
	return (int)*len >= (int)sizeof(rate)
		       ? qs_sockopt_give(&rate, sizeof(rate), value, len)
		       : qs_sockopt_give(&narrow, sizeof(narrow), value, len);
}

static int get_virtual(int fd, struct qs_mark *mark, int name, void *value, socklen_t *len)
{
	struct ucred nobody = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
	int number = 0;

	switch (name) {
	case SO_ERROR: {
		socklen_t size = sizeof(number);

		if (qs_sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
			number = 0;
		number = take_error(fd, mark, number);
		break;
	}
	case SO_DOMAIN:
		number = mark->v6 ? AF_INET6 : AF_INET;
		break;
	case SO_PROTOCOL:
		number = IPPROTO_TCP;
		break;
	case SO_REUSEPORT:
	case SO_PASSCRED:
	case SO_PASSSEC:
	case SO_PASSPIDFD:
	case SO_PASSRIGHTS:
	case SO_INQ:
		return qs_sockopt_stored_get(fd, mark, SOL_SOCKET, name, value, len);
	case SO_MAX_PACING_RATE:
		return get_pacing(mark, value, len);
	case SO_INCOMING_CPU: {
		socklen_t size = sizeof(number);
		unsigned cpu = 0;

		/* AF_UNIX knows but what was set. */
		if (qs_sys_getsockopt(fd, SOL_SOCKET, name, &number, &size) < 0 || number < 0)
			number = qs_may_swap() && qs_raw(SYS_getcpu, &cpu, NULL, NULL, 0) == 0
					 ? (int)cpu
					 : 0;
		break;
	}
	case SO_PEERCRED:
		return qs_sockopt_give(&nobody, sizeof(nobody), value, len);
	default:
		return qs_sockopt_default_get(mark, SOL_SOCKET, name, value, len);
	}
	return qs_sockopt_give(&number, sizeof(number), value, len);
}

/* An option of TCP's is not AF_UNIX's: another thread's connect() or listen() may have put ours in the place of what was
 * a TCP socket when it was looked at. */
static bool is_swapped(int fd, int level, int rc, struct qs_mark *mark)
{
	return rc < 0 && errno == EOPNOTSUPP && level != SOL_SOCKET && qs_may_look() &&
	       qs_sock_mark(fd, mark);
}

QS_EXPORT int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	struct qs_mark mark;
	int rc, saved = errno;

	if (!qs_active() || !value || !len || (level == SOL_SOCKET && !is_virtual_get(name)) ||
	    !qs_sock_mark(fd, &mark)) {
		rc = qs_real.getsockopt(fd, level, name, value, len);
		if (!value || !len || !is_swapped(fd, level, rc, &mark))
			return rc;
	}
	if (level == SOL_SOCKET)
		rc = get_virtual(fd, &mark, name, value, len);
	else
		rc = qs_sockopt_stored_get(fd, &mark, level, name, value, len);
	if (rc == 0)
		errno = saved;
	return rc;
}

static bool is_virtual_set(int name)
{
	switch (name) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
	case SO_LINGER:
	case SO_KEEPALIVE:
	case SO_MAX_PACING_RATE:
	case SO_PASSCRED:
	case SO_PASSSEC:
	case SO_PASSPIDFD:
	case SO_PASSRIGHTS:
	case SO_INQ:
	case SO_REUSEPORT:
		return true;
	}
	return false;
}

static int set_pacing(const struct qs_mark *mark, const void *value, socklen_t len)
{
	struct qs_options *options = qs_pages_options(mark);
	uint64_t rate = 0;
	uint32_t narrow = 0;

	if (len < sizeof(narrow))
		return fail(EINVAL);
	if (len >= sizeof(rate)) {
		memcpy(&rate, value, sizeof(rate));
	} else {
		memcpy(&narrow, value, sizeof(narrow));
		rate = narrow == UINT32_MAX ? UINT64_MAX : narrow;
	}
	if (options) {
		options->pacing[0] = (uint32_t)rate;
		options->pacing[1] = (uint32_t)(rate >> 32);
	}
	qs_sockopt_ignore(mark);
	return 0;
}

static int set_linger(int fd, const struct qs_mark *mark, const void *value, socklen_t len)
{
	struct qs_options *options;
	struct linger linger;
	int rc = qs_real.setsockopt(fd, SOL_SOCKET, SO_LINGER, value, len);

	options = rc == 0 ? qs_pages_options(mark) : NULL;
	if (options) {
		memcpy(&linger, value, sizeof(linger));
		options->linger_s = (uint16_t)(linger.l_linger < 0 || linger.l_linger > UINT16_MAX
						       ? UINT16_MAX
						       : linger.l_linger);
		__atomic_store_n(&options->linger_on, linger.l_onoff != 0, __ATOMIC_RELEASE);
	}
	return rc;
}

static int set_virtual(int fd, const struct qs_mark *mark, int name, const void *value,
		       socklen_t len)
{
	int number, rc;

	switch (name) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		if (mark->state != QS_MARK_CONNECTING)
			return qs_real.setsockopt(fd, SOL_SOCKET, name, value, len);
		break;
	case SO_LINGER:
		return set_linger(fd, mark, value, len);
	case SO_KEEPALIVE:
		rc = qs_real.setsockopt(fd, SOL_SOCKET, name, value, len);
		if (rc == 0) {
			memcpy(&number, value, sizeof(number));
			qs_sockopt_store(mark, QS_OPT_KEEPALIVE, number != 0);
		}
		return rc;
	case SO_REUSEPORT:
	case SO_PASSCRED:
	case SO_PASSSEC:
	case SO_PASSPIDFD:
	case SO_PASSRIGHTS:
	case SO_INQ:
		return qs_sockopt_stored_set(fd, mark, SOL_SOCKET, name, value, len);
	case SO_MAX_PACING_RATE:
		return set_pacing(mark, value, len);
	default:
		break;
	}
	if (len < sizeof(number))
		return fail(EINVAL);
	qs_sockopt_ignore(mark);
	return 0;
}

QS_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct qs_mark mark;
	int rc, saved = errno;

	if (!qs_watching())
		return qs_real.setsockopt(fd, level, name, value, len);
	qs_option_note(level, name);
	if (!qs_active() || !value || (level == SOL_SOCKET && !is_virtual_set(name)) ||
	    !qs_sock_mark(fd, &mark)) {
		rc = qs_real.setsockopt(fd, level, name, value, len);
		if (!value || !is_swapped(fd, level, rc, &mark))
			return rc;
	}
	if (level == SOL_SOCKET)
		rc = set_virtual(fd, &mark, name, value, len);
	else
		rc = qs_sockopt_stored_set(fd, &mark, level, name, value, len);
	if (rc == 0)
		errno = saved;
	return rc;
}
