/* SPDX-License-Identifier: MIT */
/* connect: puts a socket of the engine's in the place of a TCP socket, for the destinations the
 * policy names. */
#include "connect.h"

#include "attempt.h"
#include "listen.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/*
 * Theory (see control.h for the protocol, attempt.c for what happens to the socket). The states of a
 * descriptor and what connect() gives, as the kernel's TCP does (`error` is the mark's):
 *	no mark, TCP closed	a new attempt: EINPROGRESS, or wait
 *	CONNECTING		EALREADY, or wait (EALREADY at SO_SNDTIMEO)
 *	OPEN, error 0		0, once: the app learns of the success
 *	OPEN, else		EISCONN
 *	FAILED, errno		that errno, once; then unconnected
 *	FAILED, error 0		SO_ERROR told it: ECONNABORTED, once; then unconnected
 *	FAILED, EISCONN		unconnected: a TCP socket again, and a new attempt
 *	LISTENER		EISCONN
 * After fork the child's copy of the descriptor has the same mark: no state is in this process.
 */

static bool may_concern_us(const struct sockaddr *addr, socklen_t len)
{
	return addr && len >= sizeof(sa_family_t) && len <= sizeof(struct sockaddr_storage) &&
	       (addr->sa_family == AF_INET || addr->sa_family == AF_INET6 ||
		addr->sa_family == AF_UNSPEC);
}

bool qs_connect_concerns(const struct sockaddr *addr, socklen_t len)
{
	char names[QS_NAMES_MAX][QS_NAME_MAX];
	struct qs_target target;

	return may_concern_us(addr, len) && addr->sa_family != AF_UNSPEC &&
	       (qs_state.broken || qs_target_judge(addr, len, &target, names));
}

/* A seccomp filter would end the program where we look at the descriptor. */
static bool is_blind(void)
{
	return atomic_load_explicit(&qs_state.blind, memory_order_relaxed);
}

bool qs_connect_would_map(int fd, const struct sockaddr *addr, socklen_t len)
{
	int state;

	if (!qs_connect_concerns(addr, len))
		return false;
	state = is_blind() ? TCP_CLOSE : qs_sock_tcp_state(fd);
	return state == TCP_CLOSE || (state < 0 && !qs_sock_is_no_tcp(state));
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static void complain(const struct qs_mark *mark)
{
	struct qs_slot_view slot;
	char text[INET6_ADDRSTRLEN + 16], ip[INET6_ADDRSTRLEN];

	if (!qs_pages_slot(mark, &slot) || !slot.reason[0])
		return;
	if (!slot.peer.family || !inet_ntop(slot.peer.family, slot.peer.ip, ip, sizeof(ip)))
		strcpy(ip, "?");
	snprintf(text, sizeof(text), "%s %u", ip, slot.peer.port);
	qs_complain("connect %1: %2", text, slot.reason);
}

bool qs_connect_is_orphan(int fd, struct qs_mark *mark)
{
	struct pollfd p = {.fd = fd};
	struct timespec now = {0};

	return mark->state == QS_MARK_CONNECTING &&
	       qs_raw6(SYS_ppoll, (long)&p, 1, (long)&now, 0, 8, 0) > 0 && (p.revents & POLLHUP) &&
	       /* Closed: by an attempt that failed meanwhile, else by an engine that ended. */
	       qs_sock_mark(fd, mark) && mark->state == QS_MARK_CONNECTING;
}

int qs_connect_error(int fd, struct qs_mark *mark)
{
	if (!qs_sock_mark(fd, mark))
		return 0;
	if (qs_connect_is_orphan(fd, mark)) {
		mark->state = QS_MARK_FAILED;
		mark->error = ECONNREFUSED;
		qs_sock_set_mark(fd, mark);
	}
	if (mark->state != QS_MARK_FAILED || mark->error == QS_TOLD_OPEN)
		return 0;
	if (mark->error == EACCES)
		complain(mark);
	return mark->error;
}

int qs_connect_take_error(int fd, struct qs_mark *mark, uint8_t told)
{
	int error = qs_connect_error(fd, mark);

	if (!error)
		return 0;
	if (!qs_pages_take_error(mark)) {
		mark->error = 0;
		return 0;
	}
	qs_sock_clear_error(fd);
	mark->error = told;
	qs_sock_set_mark(fd, mark);
	return error;
}

/* connect(AF_UNSPEC): TCP resets the connection, and the socket is unconnected; a listener keeps its address. */
static int disconnect(int fd, const struct qs_mark *mark)
{
	struct qs_options *options = qs_pages_options(mark);
	int rc = -ENOENT, no_offset = -1;

	if (options && mark->state == QS_MARK_OPEN) {
		options->linger_s = 0;
		__atomic_store_n(&options->linger_on, 1, __ATOMIC_RELEASE);
	}
	if (mark->state == QS_MARK_LISTENER)
		rc = qs_listen_rebind(fd, mark);
	if (rc == -ENOENT)
		rc = qs_sock_renew(fd, mark);
	if (rc < 0 && rc != -EADDRINUSE)
		return fail(ENOBUFS);
	if (qs_may_swap())
		qs_sys_setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &no_offset, sizeof(no_offset));
	return 0;
}

/* A mapped descriptor again, or no TCP at all. */
static int connect_again(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct qs_mark mark;
	int error, flags;

	if (!qs_active() || !qs_sock_mark(fd, &mark))
		return qs_real.connect(fd, addr, len);
	if (addr->sa_family == AF_UNSPEC)
		return disconnect(fd, &mark);
	error = qs_connect_take_error(fd, &mark, QS_TOLD_OPEN);
	if (error)
		return fail(error);
	switch (mark.state) {
	case QS_MARK_CONNECTING:
		flags = qs_sys_fcntl(fd, F_GETFL, 0);
		return flags & O_NONBLOCK ? fail(EALREADY) : qs_attempt_wait(fd);
	case QS_MARK_OPEN:
		if (mark.error)
			return fail(EISCONN);
		mark.error = QS_TOLD_OPEN;
		qs_sock_set_mark(fd, &mark);
		return 0;
	case QS_MARK_FAILED:
		if (mark.error == QS_TOLD_OPEN) {
			if (qs_sock_renew(fd, &mark) < 0)
				return fail(ENOBUFS);
			return qs_connect(fd, addr, len);
		}
		mark.error = QS_TOLD_OPEN;
		qs_sock_set_mark(fd, &mark);
		return fail(ECONNABORTED);
	case QS_MARK_LISTENER:
		break;
	}
	return fail(EISCONN);
}

int qs_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct qs_connect_req req;
	struct qs_target target;
	int state;

	if (!may_concern_us(addr, len))
		return qs_real.connect(fd, addr, len);
	if (qs_state.broken && addr->sa_family != AF_UNSPEC &&
	    (is_blind() || qs_sock_tcp_state(fd) >= 0)) {
		qs_complain("%1", qs_state.error.text, "");
		return fail(EACCES);
	}
	memset(&req, 0, sizeof(req));
	if (addr->sa_family == AF_UNSPEC || !qs_target_judge(addr, len, &target, req.names)) {
		int saved = errno, rc;

		if (addr->sa_family == AF_UNSPEC)
			return connect_again(fd, addr, len);
		/* AF_UNIX says EINVAL to an address of another family: only then we must look. */
		rc = qs_real.connect(fd, addr, len);
		if (rc == 0 || errno != EINVAL || !qs_active())
			return rc;
		errno = saved;
		return connect_again(fd, addr, len);
	}
	state = is_blind() ? -EPERM : qs_sock_tcp_state(fd);
	if ((state == TCP_CLOSE && !qs_may_ask()) || (state < 0 && !qs_sock_is_no_tcp(state))) {
		if (target.rule->mode == QS_MODE_PREFER)
			return qs_real.connect(fd, addr, len);
		qs_complain("%1",
			    "connect: a seccomp filter of the program lets no engine be reached",
			    "");
		return fail(EACCES);
	}
	if (state == TCP_CLOSE)
		return qs_attempt_start(fd, addr, len, &target, &req);
	if (state >= 0)
		return qs_real.connect(fd, addr, len);
	return connect_again(fd, addr, len);
}

QS_EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return qs_watching() ? qs_connect(fd, addr, len) : qs_real.connect(fd, addr, len);
}

/* libc exports this name too, and some programs link to it. */
int __connect(int fd, const struct sockaddr *addr, socklen_t len);

QS_EXPORT int __connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}
