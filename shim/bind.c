/* SPDX-License-Identifier: MIT */
/* bind: the kernel's own; a port that the engine is just giving back counts as free. */
#include "ask.h"
#include "option.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/*
 * A TCP listener's port is free when close() has returned. The engine learns of the close later,
 * and gives the port back then: so it is told to look, but only where the policy may be concerned.
 */
static bool may_be_free_soon(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct qs_rule *rule;
	struct qs_addr checked;

	if (!qs_state.has_listen || qs_addr_from_sockaddr(&checked, addr, len) < 0 ||
	    qs_sock_tcp_state(fd) != TCP_CLOSE)
		return false;
	rule = qs_policy_find_listen(qs_state.policy, addr);
	return qs_rule_maps(rule);
}

static int bind_it(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct qs_control_req req = {.op = QS_OP_PROBE};
	struct qs_control_reply reply;
	int saved = errno, rc = qs_real.bind(fd, addr, len);

	if (rc < 0 && errno == EINVAL && qs_may_look() && qs_sock_unconnect(fd)) {
		errno = saved;
		rc = qs_real.bind(fd, addr, len);
	}
	if (rc == 0 || errno != EADDRINUSE || !qs_active() || !may_be_free_soon(fd, addr, len))
		return rc;
	qs_ask(&req, -1, &reply, NULL, 0, false);
	rc = qs_real.bind(fd, addr, len);
	if (rc == 0)
		errno = saved;
	return rc;
}

QS_EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	int rc = bind_it(fd, addr, len);
	struct qs_addr bound;

	if (rc == 0 && qs_watching() && qs_addr_from_sockaddr(&bound, addr, len) == 0) {
		qs_sock_note_bind(fd, bound.port == 0);
		/* The kernel sets it with an address that is not the wildcard. */
		if (bound.family == AF_INET6)
			qs_option_note(IPPROTO_IPV6, IPV6_V6ONLY);
	}
	return rc;
}
