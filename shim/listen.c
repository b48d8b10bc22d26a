/* SPDX-License-Identifier: MIT */
/* listen: the engine makes an AF_UNIX listener that takes the place of the TCP socket (R4). */
#include "listen.h"

#include "ask.h"
#include "option.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory. The engine judges the address by its own copy of the policy and keeps the TCP socket,
 * which holds the port. Its AF_UNIX listener replaces the app's descriptor, so that backlog,
 * wake-ups and EMFILE are the kernel's. A listener that a service manager opened (LISTEN_FDS) is
 * mapped before main: the program never calls listen(). It listens on, since the service manager has it too: what
 * comes there by TCP is the engine's (envelope.c), or stays in its queue where no engine is told of it. If the engine says no to a listen(), the app's socket is
 * as it was, and listen() gives the engine's errno.
 */

#define IN_USE_TRIES 15
#define IN_USE_PAUSE_MS 20
#define REBIND_TRIES 200
#define REBIND_PAUSE_MS 5
#define FIRST_INHERITED 3 /* SD_LISTEN_FDS_START */

static int fail(int error)
{
	errno = error;
	return -1;
}

/* TCP's listen() binds an unbound socket to any free port; the policy needs to know it before. */
static int local_address(int fd, struct sockaddr_storage *out)
{
	socklen_t len = sizeof(*out), bind_len;
	struct qs_addr addr;
	int rc = qs_sys_getsockname(fd, out, &len);

	if (rc < 0)
		return rc;
	rc = qs_addr_from_sockaddr(&addr, (struct sockaddr *)out, len);
	if (rc < 0 || addr.port)
		return rc;
	bind_len = qs_addr_to_sockaddr(&addr, out->ss_family, out);
	rc = qs_sys_bind(fd, out, bind_len);
	if (rc < 0)
		return rc;
	len = sizeof(*out);
	return qs_sys_getsockname(fd, out, &len);
}

static int replace(int fd, int flags, int listener, uint64_t cookie)
{
	if (flags >= 0 && (flags & O_NONBLOCK))
		qs_sys_fcntl(listener, F_SETFL, O_NONBLOCK);
	qs_option_copy(fd, listener, true);
	return qs_sock_replace(fd, listener, cookie);
}

/* The rule that maps a TCP socket's own address; NULL = none. */
static const struct qs_rule *find_rule(int fd)
{
	struct sockaddr_storage local;
	const struct qs_rule *rule;

	if (!qs_state.has_listen || !qs_state.has_identity || local_address(fd, &local) < 0)
		return NULL;
	rule = qs_policy_find_listen(qs_state.policy, (struct sockaddr *)&local);
	return qs_rule_maps(rule) ? rule : NULL;
}

/* Nothing took the socket, and in mode prefer it serves without us. */
static bool does_without(int fd, int rc)
{
	const struct qs_rule *rule = find_rule(fd);

	return rule && rule->mode == QS_MODE_PREFER &&
	       (rc == -ECONNREFUSED || rc == -EPERM || rc == -EAFNOSUPPORT || rc == -ENOSYS);
}

static int start(int fd, int backlog)
{
	struct qs_control_req req = {.op = QS_OP_LISTEN, .backlog = backlog};
	struct qs_control_reply reply = {0};
	int flags = qs_sys_fcntl(fd, F_GETFL, 0); /* the engine makes the TCP socket non-blocking */
	uint64_t cookie =
		qs_sock_cookie(fd); /* another thread may close it while the engine reads keys */
	int fds[3], rc;

	qs_option_collect(fd, &req.options);
	qs_state_activate();
	/* The engine of a server that just ended may not have given the port back yet. */
	for (unsigned i = 0;; i++) {
		rc = qs_ask(&req, fd, &reply, fds, 3, true);
		if (rc < 0 || reply.error != EADDRINUSE || i >= IN_USE_TRIES)
			break;
		qs_sys_pause_ms(IN_USE_PAUSE_MS);
	}
	if (rc < 0) {
		qs_complain("listen: %1", "the engine does not answer", "");
		if (does_without(fd, rc))
			return qs_real.listen(fd, backlog);
		return fail(rc == -EMFILE || rc == -ENFILE ? EMFILE : EACCES);
	}
	if (reply.text[0])
		qs_complain("listen: %1", reply.text, "");
	if (reply.error)
		return fail(reply.error);
	if (qs_pages_adopt(fds[1], fds[2]) < 0) {
		qs_sys_close(fds[0]);
		qs_sys_fcntl(fd, F_SETFL, flags);
		return fail(ENOBUFS);
	}
	rc = replace(fd, flags, fds[0], cookie);
	return rc < 0 ? fail(rc == -ENOTSOCK ? ENOTSOCK : EBADF) : 0;
}

int qs_listen_rebind(int fd, const struct qs_mark *mark)
{
	struct qs_control_req req = {.op = QS_OP_PROBE};
	struct qs_control_reply reply;
	struct sockaddr_storage local;
	struct qs_slot_view slot;
	socklen_t len;
	int rc;

	if (!qs_pages_slot(mark, &slot))
		return -ENOENT;
	len = qs_addr_to_sockaddr(&slot.local, mark->v6 ? AF_INET6 : AF_INET, &local);
	rc = qs_sock_renew(fd, mark);
	if (rc < 0)
		return rc;
	qs_ask(&req, -1, &reply, NULL, 0, false);
	/* The engine gives the port back when it has seen that the old listener is gone. */
	for (unsigned i = 0; i < REBIND_TRIES; i++) {
		rc = qs_sys_bind(fd, &local, len);
		if (rc != -EADDRINUSE)
			break;
		qs_sys_pause_ms(REBIND_PAUSE_MS);
	}
	return rc < 0 ? -EADDRINUSE : 0;
}

/*
 * A mapped listener again: only the backlog changes; but after shutdown(), where TCP listens anew
 * and AF_UNIX can't, it is a TCP socket on the same address first.
 */
static int listen_again(int fd, int backlog)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	struct timespec now = {0};
	struct qs_mark mark;
	int rc;

	if (!qs_active() || !qs_sock_mark(fd, &mark) || mark.state != QS_MARK_LISTENER ||
	    qs_raw6(SYS_ppoll, (long)&p, 1, (long)&now, 0, 8, 0) <= 0 || !(p.revents & POLLRDHUP))
		return qs_real.listen(fd, backlog);
	rc = qs_listen_rebind(fd, &mark);
	if (rc == -ENOENT)
		return qs_real.listen(fd, backlog);
	return rc < 0 ? fail(EADDRINUSE) : start(fd, backlog);
}

/*
 * One that can't be mapped though the policy says so must not serve in the clear: accept() gets EINVAL. The
 * service manager keeps its own descriptor of it.
 */
static void inherit(int fd)
{
	int fresh;

	if (qs_sock_tcp_state(fd) != TCP_LISTEN)
		return;
	if (qs_state.broken)
		qs_complain("%1", qs_state.error.text, "");
	else if (!find_rule(fd) || start(fd, SOMAXCONN) == 0)
		return;
	fresh = qs_sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fresh >= 0)
		qs_sock_replace(fd, fresh, 0);
}

void qs_listen_inherited(void)
{
	const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS");
	int n;

	if (!pid || !count || strtol(pid, NULL, 10) != (long)qs_raw(SYS_getpid, 0, 0, 0, 0))
		return;
	n = atoi(count);
	for (int fd = FIRST_INHERITED; n > 0 && n < 1024 && fd < FIRST_INHERITED + n; fd++)
		inherit(fd);
}

static int map_or_listen(int fd, int backlog)
{
	bool blind = atomic_load_explicit(&qs_state.blind, memory_order_relaxed);
	int state = blind ? -EPERM : qs_sock_tcp_state(fd);

	if (state < 0 && !qs_sock_is_no_tcp(state) && (qs_state.has_listen || qs_state.broken)) {
		qs_complain("%1", "listen: a seccomp filter hides what the policy must know", "");
		return fail(EACCES);
	}
	if (state < 0 && qs_active() && qs_sock_unconnect(fd))
		state = qs_sock_tcp_state(fd);
	if (state < 0)
		return blind ? qs_real.listen(fd, backlog) : listen_again(fd, backlog);
	if (state != TCP_CLOSE)
		return qs_real.listen(fd, backlog);
	if (qs_state.broken) {
		qs_complain("%1", qs_state.error.text, "");
		return fail(EACCES);
	}
	return find_rule(fd) ? start(fd, backlog) : qs_real.listen(fd, backlog);
}

QS_EXPORT int listen(int fd, int backlog)
{
	return qs_watching() ? map_or_listen(fd, backlog) : qs_real.listen(fd, backlog);
}
