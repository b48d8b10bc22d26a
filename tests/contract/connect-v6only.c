/* SPDX-License-Identifier: MIT */
/* A socket of AF_INET6 that is for IPv6 only has no route to a v4-mapped address. */
#include "harness.h"

static void attempt(const char *what, int flags, bool only, const char *source, int port)
{
	struct ct_addr addr = ct_addr_of("::ffff:127.0.0.1", port);
	int fd = ct_socket(AF_INET6, flags), rc, error;

	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){only}, sizeof(int)));
	if (source != NULL) {
		struct ct_addr from = ct_addr_of(source, 0);

		MUST(bind(fd, SA(&from)));
	}
	rc = connect(fd, SA(&addr));
	error = errno;
	ct_note("%s: %d %s", what, rc, rc < 0 ? strerrorname_np(error) : "");
	if (rc == 0)
		ct_prove(fd);
	close(fd);
}

int main(void)
{
	int listener, port;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	attempt("only", 0, true, NULL, port);
	attempt("only, without blocking", SOCK_NONBLOCK, true, NULL, port);
	attempt("bound to IPv6", 0, false, "::1", port);
	attempt("bound to any", 0, false, "::", port);
	attempt("bound to IPv4", 0, false, "::ffff:127.0.0.1", port);
	attempt("both", 0, false, NULL, port);
	return 0;
}
