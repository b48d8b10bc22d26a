/* SPDX-License-Identifier: MIT */
/* listen: the engine makes an AF_UNIX listener that takes the place of the TCP socket (R4). */
#include "ask.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

/*
 * Theory. The engine judges the address by its own copy of the policy and keeps the TCP socket, which holds
 * the port. Its AF_UNIX listener replaces the app's descriptor, so that backlog, wake-ups and EMFILE are the
 * kernel's. If the engine says no, the app's socket is as it was, and listen() gives the engine's errno.
 */

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

static int replace(int fd, int listener)
{
	int flags = qs_sys_fcntl(fd, F_GETFL, 0);

	if (flags >= 0 && (flags & O_NONBLOCK))
		qs_sys_fcntl(listener, F_SETFL, O_NONBLOCK);
	qs_sock_copy(fd, listener, true);
	return qs_sock_replace(fd, listener);
}

static int start(int fd, int backlog)
{
	struct qs_control_req req = {.op = QS_OP_LISTEN, .backlog = backlog};
	struct qs_control_reply reply = {0};
	int fds[3], rc;

	qs_sock_collect(fd, &req.options);
	qs_state_activate();
	rc = qs_ask(&req, fd, &reply, fds, 3, true);
	if (rc < 0) {
		qs_complain("listen: %1", "the engine does not answer", "");
		return fail(rc == -EMFILE || rc == -ENFILE ? EMFILE : EACCES);
	}
	if (reply.text[0])
		qs_complain("listen: %1", reply.text, "");
	if (reply.error)
		return fail(reply.error);
	qs_pages_adopt(fds[1], fds[2]);
	rc = replace(fd, fds[0]);
	return rc < 0 ? fail(EBADF) : 0;
}

static int map_or_listen(int fd, int backlog)
{
	const struct qs_rule *rule;
	struct sockaddr_storage local;
	int state = qs_sock_tcp_state(fd);

	if (state != TCP_CLOSE)
		return qs_real.listen(fd, backlog);
	if (qs_state.broken) {
		qs_complain("%1", qs_state.error.text, "");
		return fail(EACCES);
	}
	if (!qs_state.has_listen || !qs_state.has_identity || local_address(fd, &local) < 0)
		return qs_real.listen(fd, backlog);
	rule = qs_policy_find_listen(qs_state.policy, (struct sockaddr *)&local);
	if (!rule || rule->mode != QS_MODE_QUIC)
		return qs_real.listen(fd, backlog);
	return start(fd, backlog);
}

QS_EXPORT int listen(int fd, int backlog)
{
	return qs_watching() ? map_or_listen(fd, backlog) : qs_real.listen(fd, backlog);
}
