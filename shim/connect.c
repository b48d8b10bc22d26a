/* SPDX-License-Identifier: MIT */
/* connect: puts a socket of the engine's in the place of a TCP socket, for the destinations the
 * policy names. */
#include "connect.h"

#include "ask.h"
#include "names.h"
#include "option.h"
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
 * Theory (see control.h for the protocol). The states of a descriptor and what connect() gives, as
 *the kernel's TCP does (`error` is the mark's): no mark, TCP closed	a new attempt: EINPROGRESS,
 *or wait CONNECTING		EALREADY, or wait (EALREADY at SO_SNDTIMEO)
 *	OPEN, error 0		0, once: the app learns of the success
 *	OPEN, else		EISCONN
 *	FAILED, errno		that errno, once; then unconnected
 *	FAILED, error 0		SO_ERROR told it: ECONNABORTED, once; then unconnected
 *	FAILED, EISCONN		unconnected: a TCP socket again, and a new attempt
 *	LISTENER		EISCONN
 * Everything up to dup3() uses raw system calls: no cancellation point, so nothing leaks, and errno
 *is set at the end. If anything fails before dup3() the app's socket is as it was. The wait is the
 *kernel's own: send() of the filler byte sleeps, is interrupted and times out as a TCP connect
 *does. After fork the child's copy of the descriptor has the same mark: no state is in this
 *process.
 */

#define ATTEMPTS 3 /* an engine that is just ending takes the connect and drops it */
#define CROWD_MS 2000
#define CROWD_PAUSE_MS 2
#define SNDBUF_USUAL 212992 /* the kernel's default */
#define IN6_LEN_MIN 24 /* without sin6_scope_id, as the kernel takes it */

/* A destination as the policy and the engine see it. */
struct target {
	struct sockaddr_storage addr;
	struct qs_addr dest;
	unsigned n_names;
	const struct qs_rule *rule;
};

static bool is_v4_mapped(const uint8_t *ip)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, prefix, sizeof(prefix));
}

/* v4-mapped becomes IPv4, unspecified becomes loopback: what the kernel would connect to. */
static void normalise(struct qs_addr *dest)
{
	static const uint8_t none[16];

	if (dest->family == AF_INET6 && is_v4_mapped(dest->ip)) {
		dest->family = AF_INET;
		memcpy(dest->ip, dest->ip + 12, 4);
		memset(dest->ip + 4, 0, 12);
	}
	if (dest->family == AF_INET && !memcmp(dest->ip, none, 4)) {
		dest->ip[0] = 127;
		dest->ip[3] = 1;
	} else if (dest->family == AF_INET6 && !memcmp(dest->ip, none, 16)) {
		dest->ip[15] = 1;
	}
}

/* Fills in all of *target; names go where the header wants them. False if the policy says nothing
 * of it. */
static bool judge(const struct sockaddr *addr, socklen_t len, struct target *target,
		  char names[QS_NAMES_MAX][QS_NAME_MAX])
{
	const char *list[QS_NAMES_MAX];

	if (!qs_state.policy || !qs_state.has_connect || !qs_state.has_identity)
		return false;
	memset(&target->addr, 0, sizeof(target->addr));
	memcpy(&target->addr, addr, len < sizeof(target->addr) ? len : sizeof(target->addr));
	if (target->addr.ss_family == AF_INET6 && len < IN6_LEN_MIN)
		return false;
	if (qs_addr_from_sockaddr(&target->dest, (struct sockaddr *)&target->addr,
				  target->addr.ss_family == AF_INET6 && len >= IN6_LEN_MIN
					  ? (socklen_t)sizeof(struct sockaddr_in6)
					  : len) < 0)
		return false;
	normalise(&target->dest);
	target->n_names = qs_names_lookup(&target->dest, names);
	for (unsigned i = 0; i < target->n_names; i++)
		list[i] = names[i];
	target->rule = qs_policy_find_connect(qs_state.policy, (struct sockaddr *)&target->addr,
					      list, target->n_names);
	return target->rule && target->rule->mode == QS_MODE_QUIC;
}

static bool may_concern_us(const struct sockaddr *addr, socklen_t len)
{
	return addr && len >= sizeof(sa_family_t) && len <= sizeof(struct sockaddr_storage) &&
	       (addr->sa_family == AF_INET || addr->sa_family == AF_INET6 ||
		addr->sa_family == AF_UNSPEC);
}

bool qs_connect_would_map(int fd, const struct sockaddr *addr, socklen_t len)
{
	char names[QS_NAMES_MAX][QS_NAME_MAX];
	struct target target;

	return may_concern_us(addr, len) && addr->sa_family != AF_UNSPEC &&
	       (qs_state.broken || judge(addr, len, &target, names)) &&
	       qs_sock_tcp_state(fd) == TCP_CLOSE;
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

int qs_connect_error(int fd, struct qs_mark *mark)
{
	if (!qs_sock_mark(fd, mark))
		return 0;
	if (mark->state == QS_MARK_CONNECTING) {
		struct pollfd p = {.fd = fd};
		struct timespec now = {0};

		if (qs_raw6(SYS_ppoll, (long)&p, 1, (long)&now, 0, 8, 0) <= 0 ||
		    !(p.revents & POLLHUP))
			return 0;
		/* Closed: by an attempt that failed meanwhile, else by an engine that ended. */
		if (!qs_sock_mark(fd, mark) || mark->state != QS_MARK_CONNECTING)
			return qs_connect_error(fd, mark);
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

/* Blocks until the attempt has ended. `again`: it is not the connect() that began it. */
static int wait_for_end(int fd, bool again)
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
	struct qs_mark mark;
	int saved = errno, error;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (qs_real.sendmsg(fd, &msg, MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			return fail(again ? EALREADY : EINPROGRESS);
		if (errno != EPIPE && errno != ECONNRESET)
			return -1;
		error = qs_connect_error(fd, &mark);
		if (error) {
			mark.error = QS_TOLD_OPEN;
			qs_sock_set_mark(fd, &mark);
			return fail(error);
		}
	}
	/* Connected, even if it is over by now: the first read tells. */
	if (qs_sock_mark(fd, &mark) && mark.state == QS_MARK_OPEN && !mark.error) {
		mark.error = QS_TOLD_OPEN;
		qs_sock_set_mark(fd, &mark);
	}
	errno = saved;
	return 0;
}

/*
 * The header goes out. Blocking: the least SO_SNDBUF, which the header fills. Non-blocking: the
 * final one, and filler enough that a quarter of it stays in use until the engine reads (control.h
 * says why). Returns 0 or -errno.
 */
static int send_header(int fresh, struct qs_connect_req *req)
{
	static const uint8_t zeros[65536];
	int size = 1;
	long rc;

	req->total = sizeof(*req);
	if (!(req->flags & QS_CONNECT_BLOCKING)) {
		size = (int)(req->sndbuf / 2); /* the kernel doubles it */
		req->total += req->sndbuf / 4;
	}
	qs_sys_setsockopt(fresh, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* The kernel bounds the descriptors that a user has in flight: the engine takes them from there soon. */
	for (unsigned waited = 0;; waited += CROWD_PAUSE_MS) {
		rc = qs_ask_send_fd(fresh, req, sizeof(*req), fresh, MSG_DONTWAIT);
		if (rc != -ETOOMANYREFS || waited >= CROWD_MS)
			break;
		qs_sys_pause_ms(CROWD_PAUSE_MS);
	}
	for (uint32_t left = req->total - sizeof(*req); rc >= 0 && left > 0; left -= (uint32_t)rc)
		rc = qs_ask_send_fd(fresh, zeros, left < sizeof(zeros) ? left : sizeof(zeros), -1,
				    MSG_DONTWAIT);
	return rc < 0 ? (int)rc : 0;
}

/* The new socket, connected to the engine and full. Returns it or -errno. */
static int make_socket(int fd, int flags, struct qs_connect_req *req)
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
		if (rc == 0) {
			qs_option_copy(fd, fresh, false);
			rc = send_header(fresh, req);
		}
		if (rc == 0)
			return fresh;
		qs_sys_close(fresh);
		if (rc != -EPIPE && rc != -ECONNRESET)
			break;
	}
	return rc == -EAGAIN || rc == -ETOOMANYREFS ? -ENOBUFS : rc;
}

static void fill_request(int fd, struct qs_connect_req *req, const struct target *target)
{
	socklen_t len = sizeof(req->device);

	req->magic = QS_CONNECT_MAGIC;
	req->version = QS_PROTOCOL_VERSION;
	memcpy(req->token, qs_state.identity.token, sizeof(req->token));
	req->dest = target->dest;
	req->n_names = (uint16_t)target->n_names;
	req->sndbuf = qs_option_sndbuf(fd);
	if (!req->sndbuf)
		req->sndbuf = SNDBUF_USUAL;
	qs_option_collect(fd, &req->options);
	qs_option_route(fd, &req->mark, req->device, len);
}

/*
 * What the kernel would say at once about the way to `dest`: 0, or an errno. A non-blocking
 * connect() gives it as its result; a datagram socket asks the same question and sends nothing.
 */
static int ask_route(const struct target *target, const struct qs_connect_req *req)
{
	int sock, rc;

	if (req->device[0] || req->mark || target->rule->has_endpoint_addr ||
	    (target->dest.family == AF_INET && target->dest.ip[0] == 127))
		return 0;
	sock = qs_sys_socket(target->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return 0;
	rc = qs_sys_connect(sock, &target->addr,
			    target->addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
							      : sizeof(struct sockaddr_in6));
	qs_sys_close(sock);
	return rc == -ENETUNREACH || rc == -EHOSTUNREACH || rc == -EINVAL ? rc : 0;
}

/* A new attempt on a closed TCP socket. */
static int start(int fd, const struct sockaddr *addr, socklen_t len, const struct target *target,
		 struct qs_connect_req *req)
{
	struct sockaddr_storage source;
	socklen_t source_len = sizeof(source);
	int flags = qs_sys_fcntl(fd, F_GETFL, 0), rc;

	if (flags < 0 || qs_sys_getsockname(fd, &source, &source_len) < 0 ||
	    source.ss_family != target->addr.ss_family)
		return qs_real.connect(fd, addr, len); /* will fail as it must */
	req->v6 = source.ss_family == AF_INET6;
	fill_request(fd, req, target);
	if (!(flags & O_NONBLOCK))
		req->flags |= QS_CONNECT_BLOCKING;
	if (qs_addr_from_sockaddr(&req->source, (struct sockaddr *)&source, source_len) == 0 &&
	    !qs_sock_is_bound(&req->source))
		memset(&req->source, 0, sizeof(req->source));
	if (req->source.family == AF_INET6 && is_v4_mapped(req->source.ip))
		normalise(&req->source);
	if ((flags & O_NONBLOCK) && (rc = ask_route(target, req)) < 0)
		return fail(-rc);
	qs_state_activate();
	rc = make_socket(fd, flags, req);
	if (rc >= 0)
		rc = qs_sock_replace(fd, rc);
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
		return fail(ENOBUFS);
	if (rc == -EPIPE || rc == -ECONNRESET) {
		qs_complain("%1", "the engine ended while a connection was made", "");
		return fail(ECONNREFUSED);
	}
	if (rc < 0)
		return fail(-rc);
	qs_pages_prepare();
	return flags & O_NONBLOCK ? fail(EINPROGRESS) : wait_for_end(fd, false);
}

/* connect(AF_UNSPEC): TCP resets the connection, and the socket is unconnected. */
static int disconnect(int fd, const struct qs_mark *mark)
{
	struct qs_options *options = qs_pages_options(mark);

	if (options && mark->state == QS_MARK_OPEN) {
		options->linger_s = 0;
		__atomic_store_n(&options->linger_on, 1, __ATOMIC_RELEASE);
	}
	return qs_sock_renew(fd, mark) < 0 ? fail(ENOBUFS) : 0;
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
	error = qs_connect_error(fd, &mark);
	switch (mark.state) {
	case QS_MARK_CONNECTING:
		flags = qs_sys_fcntl(fd, F_GETFL, 0);
		return flags & O_NONBLOCK ? fail(EALREADY) : wait_for_end(fd, true);
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
		return fail(error ? error : ECONNABORTED);
	case QS_MARK_LISTENER:
		break;
	}
	return fail(EISCONN);
}

int qs_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct qs_connect_req req;
	struct target target;
	int state;

	if (!may_concern_us(addr, len))
		return qs_real.connect(fd, addr, len);
	if (qs_state.broken && addr->sa_family != AF_UNSPEC && qs_sock_tcp_state(fd) >= 0) {
		qs_complain("%1", qs_state.error.text, "");
		return fail(EACCES);
	}
	memset(&req, 0, sizeof(req));
	if (addr->sa_family == AF_UNSPEC || !judge(addr, len, &target, req.names)) {
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
	state = qs_sock_tcp_state(fd);
	if (state == TCP_CLOSE)
		return start(fd, addr, len, &target, &req);
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
