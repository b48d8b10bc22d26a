/* SPDX-License-Identifier: MIT */
/* One attempt to connect by the engine: its beginning, and the wait for its end. */
#include "attempt.h"

#include "ask.h"
#include "connect.h"
#include "landlock.h"
#include "option.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>

/*
 * Theory (see control.h for the protocol). Everything up to dup3() uses raw system calls: no
 * cancellation point, so nothing leaks, and errno is set at the end. If anything fails before
 * dup3() (the pages included: without them a reset could not be told from an end) the app's socket is as it was, and so is whatever has got its number meanwhile; in mode prefer it is then connected as without us, where
 * the cause is that there is no engine. The wait is the kernel's own: send() of the filler byte
 * sleeps, is interrupted and times out as a TCP connect does; in mode prefer recv() from a
 * socketpair does, since the app's own TCP socket may come back by it.
 */

#define ATTEMPTS 3 /* an engine that is just ending takes the connect and drops it */
#define CROWD_MS 2000
#define CROWD_PAUSE_MS 2
#define SNDBUF_FILLED 212992 /* without blocking a quarter of it is filled: the kernel's default */
#define SNDBUF_LEAST                                                                               \
	32768 /* what the header and the filler fit into, however small the program's own */
#define ORPHAN 1 /* the engine died during the attempt, and may not have seen it */

static int fail(int error)
{
	errno = error;
	return -1;
}

/* The attempt has ended, or the engine with it: what connect() gives, or ORPHAN. errno was `saved`. */
static int end_of(int fd, int saved, bool may_repeat)
{
	struct qs_mark mark = {0};
	int error;

	if (may_repeat && qs_sock_mark(fd, &mark) && qs_connect_is_orphan(fd, &mark))
		return ORPHAN;
	error = qs_connect_take_error(fd, &mark, QS_TOLD_OPEN);
	if (error)
		return fail(error);
	/* Another thread that waited was told the errno, or has begun another attempt. */
	if (mark.state == QS_MARK_FAILED || mark.state == QS_MARK_CONNECTING)
		return fail(ECONNABORTED);
	/* Connected, even if it is over by now: the first read tells. */
	if (qs_sock_mark(fd, &mark) && mark.state == QS_MARK_OPEN && !mark.error) {
		mark.error = QS_TOLD_OPEN;
		qs_sock_set_mark(fd, &mark);
	}
	errno = saved;
	return 0;
}

/* Without `may_repeat` there is no ORPHAN. `error` is that of SO_SNDTIMEO. */
static int wait_for_end(int fd, int error, bool may_repeat)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int))}};
	char filler = 0;
	struct iovec iov = {.iov_base = &filler, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int saved = errno;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (qs_real.sendmsg(fd, &msg, MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			return fail(error);
		if (errno != EPIPE && errno != ECONNRESET)
			return -1;
	}
	return end_of(fd, saved, may_repeat);
}

int qs_attempt_wait(int fd)
{
	return wait_for_end(fd, EALREADY, false);
}

/*
 * For O_ASYNC, before the last octet of the filler: the kernel signals room only after a write that found none while the
 * flag was on. It goes on for good when the socket has its number. The engine takes nothing yet. Returns true if the octet
 * is sent with it.
 */
static bool arm_signal(int fresh, int size)
{
	int least = 1;
	long rc;

	qs_sys_fcntl(fresh, F_SETFL, O_NONBLOCK | O_ASYNC);
	qs_sys_setsockopt(fresh, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	rc = qs_ask_send(fresh, "", 1, NULL, 0, MSG_DONTWAIT);
	qs_sys_fcntl(fresh, F_SETFL, O_NONBLOCK);
	qs_sys_setsockopt(fresh, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return rc == 1;
}

/*
 * The header goes out. Blocking: the least SO_SNDBUF, which the header fills. Non-blocking: the
 * final one, and filler enough that a quarter of it stays in use until the engine reads (control.h
 * says why). Returns 0 or -errno.
 */
static int send_header(int fresh, int flags, struct qs_connect_req *req, const int extra[2])
{
	static const uint8_t zeros[65536];
	int fds[QS_ASK_FDS_MAX] = {fresh, extra[0], extra[1]}, size = 1;
	unsigned n_fds = extra[0] < 0 ? 1 : extra[1] < 0 ? 2 : 3;
	uint32_t sndbuf = req->sndbuf > SNDBUF_LEAST ? req->sndbuf : SNDBUF_LEAST, left = 0;
	long rc;

	if (!(req->flags & QS_CONNECT_BLOCKING)) {
		size = (int)(sndbuf / 2); /* the kernel doubles it */
		left = sndbuf / 4;
	}
	req->total = (uint32_t)sizeof(*req) + left;
	qs_sys_setsockopt(fresh, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* The kernel bounds the descriptors that a user has in flight: the engine takes them from there soon. */
	for (unsigned waited = 0;; waited += CROWD_PAUSE_MS) {
		rc = qs_ask_send(fresh, req, sizeof(*req), fds, n_fds, MSG_DONTWAIT);
		if (rc != -ETOOMANYREFS || waited >= CROWD_MS)
			break;
		qs_sys_pause_ms(CROWD_PAUSE_MS);
	}
	for (bool armed = !(flags & O_ASYNC) || !qs_option_may_signal(); rc >= 0 && left > 0;
	     left -= (uint32_t)rc) {
		uint32_t n = armed || left == 1 ? left : left - 1;

		if (!armed && left == 1) {
			armed = true;
			if (arm_signal(fresh, size))
				break;
		}
		rc = qs_ask_send(fresh, zeros, n < sizeof(zeros) ? n : sizeof(zeros), NULL, 0,
				 MSG_DONTWAIT);
	}
	return rc < 0 ? (int)rc : 0;
}

/* The new socket, connected to the engine and full. `extra` goes along (mode prefer). Returns it or
 * -errno. */
static int make_socket(int fd, int flags, struct qs_connect_req *req, const int extra[2])
{
	static const struct qs_mark mark_v4 = {.state = QS_MARK_CONNECTING};
	static const struct qs_mark mark_v6 = {.state = QS_MARK_CONNECTING, .v6 = true};
	int rc = -ECONNREFUSED;

	for (unsigned tries = 0; tries < ATTEMPTS; tries++) {
		int fresh = qs_sys_socket(
			AF_UNIX,
			SOCK_STREAM | SOCK_CLOEXEC | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0);

		if (fresh < 0)
			return fresh;
		qs_sock_set_mark(fresh, req->v6 ? &mark_v6 : &mark_v4);
		rc = qs_ask_connect(fresh, QS_CHANNEL_STREAM, true);
		if (rc == 0)
			rc = qs_pages_prepare(); /* the engine has not been asked for anything yet */
		if (rc == 0) {
			qs_option_copy(fd, fresh, false);
			rc = send_header(fresh, flags, req, extra);
		}
		if (rc == 0)
			return fresh;
		qs_sys_close(fresh);
		if (rc != -EPIPE && rc != -ECONNRESET)
			break;
	}
	return rc == -EAGAIN || rc == -ETOOMANYREFS ? -ENOBUFS : rc;
}

static void fill_request(int fd, int flags, struct qs_connect_req *req,
			 const struct qs_target *target)
{
	socklen_t len = sizeof(req->device);

	req->magic = QS_CONNECT_MAGIC;
	req->version = QS_PROTOCOL_VERSION;
	memcpy(req->token, qs_state.identity.token, sizeof(req->token));
	req->dest = target->dest;
	req->n_names = (uint16_t)target->n_names;
	if (!(flags & O_NONBLOCK))
		req->flags |= QS_CONNECT_BLOCKING;
	req->sndbuf = qs_option_sndbuf(fd);
	if (!req->sndbuf)
		req->sndbuf = flags & O_NONBLOCK ? SNDBUF_FILLED : 2 * QS_SNDBUF;
	qs_option_collect(fd, &req->options);
	qs_option_route(fd, &req->mark, req->device, len);
}

static void close_verdict(void *verdict)
{
	qs_sys_close(*(int *)verdict);
}

/* As recvmsg(), a cancellation point that leaves nothing behind. */
static ssize_t receive_verdict(int verdict, struct msghdr *msg)
{
	ssize_t n;

	pthread_cleanup_push(close_verdict, &verdict);
	n = qs_real.recvmsg(verdict, msg, MSG_CMSG_CLOEXEC);
	pthread_cleanup_pop(0);
	return n;
}

/*
 * Mode prefer, blocking: waits for the verdict, and closes `verdict`. If TCP has won, the app's own
 * socket comes back and takes its old place. After a signal or SO_SNDTIMEO the attempt goes on
 * without us: once reading is shut down the engine can send no socket any more, so one that it has
 * sent before is still taken. `cookie` is that of the socket that stands in its place.
 */
static int wait_for_verdict(int fd, uint64_t cookie, int verdict, bool may_repeat)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct timeval limit;
	socklen_t len = sizeof(limit);
	int saved = errno, error = 0, tcp;
	ssize_t n;

	if (qs_sys_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len) == 0)
		qs_sys_setsockopt(verdict, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	n = receive_verdict(verdict, &msg);
	if (n < 0) {
		error = errno == EAGAIN ? EINPROGRESS : errno;
		qs_raw(SYS_shutdown, verdict, SHUT_RD, 0, 0);
		n = qs_sys_recvmsg(verdict, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	}
	if (n == 1) /* the engine closes its copies, and then its end */
		while (qs_sys_recvmsg(verdict, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1},
				      0) == -EINTR)
			;
	qs_sys_close(verdict);
	if (n != 1 && error)
		return fail(error);
	if (n != 1)
		return end_of(fd, saved, may_repeat);
	if (control.header.cmsg_len != CMSG_LEN(sizeof(int)))
		return fail(ENOBUFS); /* no descriptor was free for it */
	memcpy(&tcp, CMSG_DATA(&control.header), sizeof(tcp));
	tcp = qs_sock_replace(fd, tcp, cookie);
	if (tcp < 0)
		return fail(-tcp);
	errno = saved;
	return 0;
}

/* There is no engine, and none can be had; or no room for what is needed of it. */
static bool is_without_engine(int rc)
{
	return rc == -ECONNREFUSED || rc == -EPIPE || rc == -ECONNRESET || rc == -EPERM ||
	       rc == -EAFNOSUPPORT || rc == -ENOSYS || rc == -ENOMEM || rc == -EMFILE ||
	       rc == -ENFILE;
}

static int give_up(int rc)
{
	if (rc == -EPERM || rc == -EACCES || rc == -EAFNOSUPPORT || rc == -ENOSYS) {
		qs_complain(
			"%1",
			"connect: the program may have no AF_UNIX socket, which the engine needs",
			"");
		return fail(EACCES);
	}
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
		return fail(ENOBUFS);
	if (rc == -EPIPE || rc == -ECONNRESET) {
		qs_complain("%1", "the engine ended while a connection was made", "");
		return fail(ECONNREFUSED);
	}
	return fail(-rc);
}

struct attempt {
	int fd, flags;
	const struct sockaddr *addr;
	socklen_t len;
	bool prefer, may_repeat;
	struct qs_connect_req *req;
	uint64_t cookie; /* of the app's socket */
	struct sockaddr_storage source; /* that the app bound, if it did */
	socklen_t source_len;
};

/* A round trip: what was sent before has been looked at. */
static void let_it_look(void)
{
	struct qs_control_req req = {.op = QS_OP_PROBE};
	struct qs_control_reply reply;

	qs_ask(&req, -1, &reply, NULL, 0, false);
}

/* What has had room before O_ASYNC was on is signalled now, as whenever a buffer gets a size. */
static void signal_late(int fd, const struct qs_connect_req *req)
{
	int size = (int)(req->sndbuf / 2);

	qs_sys_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Puts the engine's socket in the place of the app's, and waits for the end if that one blocks. */
static int launch(const struct attempt *at)
{
	int fd = at->fd, verdict[2] = {-1, -1}, rc;
	int known = qs_pages_engine();
	uint64_t ours = 0;
	bool blocks = !(at->flags & O_NONBLOCK);

	/* Without a pair (no descriptors) the engine relays where it would give the socket back. */
	if (at->prefer && blocks &&
	    qs_raw(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, verdict) < 0)
		verdict[0] = verdict[1] = -1;
	rc = make_socket(fd, at->flags, at->req, (int[2]){at->prefer ? fd : -1, verdict[1]});
	if (verdict[1] >= 0)
		qs_sys_close(verdict[1]);
	if (rc >= 0 && verdict[0] >= 0)
		ours = qs_sock_cookie(rc);
	if (rc >= 0)
		rc = qs_sock_replace(fd, rc, at->cookie);
	if (rc < 0 && verdict[0] >= 0)
		qs_sys_close(verdict[0]);
	if (at->prefer && is_without_engine(rc)) /* what is wrong has been said */
		return qs_real.connect(fd, at->addr, at->len);
	if (rc < 0)
		return give_up(rc);
	/*
	 * A write has room until the engine has looked at the request. One that has just started is slow to do so,
	 * and the program may be quicker.
	 */
	if (!blocks && qs_pages_engine() != known)
		let_it_look();
	if (!blocks && (at->flags & O_ASYNC) && qs_option_may_signal())
		signal_late(fd, at->req);
	if (!blocks)
		return fail(EINPROGRESS);
	return verdict[0] >= 0 ? wait_for_verdict(fd, ours, verdict[0], at->may_repeat)
			       : wait_for_end(fd, EINPROGRESS, at->may_repeat);
}

/*
 * The engine that had the attempt has died, with another process of ours maybe, and took connects
 * until its last descriptor was closed. What TCP would not tell the app is not told: a TCP socket
 * again, bound as it was, for another engine.
 */
static bool start_over(struct attempt *at)
{
	struct qs_mark mark = {.v6 = at->req->v6};

	if (qs_sock_renew(at->fd, &mark) < 0)
		return false;
	at->cookie = qs_sock_cookie(at->fd);
	if (at->req->source.family)
		qs_sys_bind(at->fd, &at->source, at->source_len);
	return true;
}

/* IPv4 is beyond a socket of AF_INET6 that was told so, or that is bound to an address of IPv6. */
static bool is_v6_only(int fd, const struct qs_connect_req *req)
{
	static const uint8_t any[16];
	int on = 0;
	socklen_t len = sizeof(on);

	if (!req->v6 || req->dest.family != AF_INET)
		return false;
	return (req->source.family == AF_INET6 && memcmp(req->source.ip, any, sizeof(any)) != 0) ||
	       (qs_sys_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &len) == 0 && on);
}

int qs_attempt_start(int fd, const struct sockaddr *addr, socklen_t len,
		     const struct qs_target *target, struct qs_connect_req *req)
{
	struct attempt at = {.fd = fd,
			     .flags = qs_sys_fcntl(fd, F_GETFL, 0),
			     .addr = addr,
			     .len = len,
			     .prefer = target->rule->mode == QS_MODE_PREFER,
			     .req = req,
			     .source_len = sizeof(at.source)};
	int rc;

	if (at.flags < 0 || qs_sys_getsockname(fd, &at.source, &at.source_len) < 0 ||
	    at.source.ss_family != target->addr.ss_family)
		return qs_real.connect(fd, addr, len); /* will fail as it must */
	rc = qs_landlock_ask(addr, len);
	if (rc < 0)
		return fail(-rc);
	at.cookie = qs_sock_cookie(fd);
	req->v6 = at.source.ss_family == AF_INET6;
	fill_request(fd, at.flags, req, target);
	if (qs_addr_from_sockaddr(&req->source, (struct sockaddr *)&at.source, at.source_len) ==
		    0 &&
	    !qs_sock_is_bound(&req->source))
		memset(&req->source, 0, sizeof(req->source));
	qs_target_unmap(&req->source);
	if (is_v6_only(fd, req))
		return fail(ENETUNREACH);
	req->options.bound = req->source;
	if ((at.flags & O_NONBLOCK) && (rc = qs_target_route(target, req)) < 0)
		return fail(-rc);
	qs_state_activate();
	for (unsigned tries = 1;; tries++) {
		at.may_repeat = tries < ATTEMPTS;
		rc = launch(&at);
		if (rc != ORPHAN)
			return rc;
		if (!start_over(&at))
			return fail(ECONNREFUSED);
	}
}
