/* SPDX-License-Identifier: MIT */
/* IPV6_V6ONLY of sockets on which nobody has set it: bind() to an address does. */
#include "harness.h"

static void show(const char *what, int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);
	int rc = getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len);

	ct_note("%s: %d %d", what, rc, value);
}

static void listen_at(const char *text, const char *target)
{
	struct ct_addr addr = ct_addr_of(text, 0), to;
	int listener = ct_socket(AF_INET6, 0), client = ct_socket(AF_INET6, 0), server;

	ct_note("%s", text);
	show("before", listener);
	MUST(bind(listener, SA(&addr)));
	show("bound", listener);
	MUST(listen(listener, 5));
	ct_prove(listener);
	show("listener", listener);
	to = ct_addr_of(target, ct_port(listener));
	MUST(connect(client, SA(&to)));
	ct_prove(client);
	show("client", client);
	server = ct_accept(listener);
	show("accepted", server);
	close(listener);
	close(client);
	close(server);
}

int main(void)
{
	struct ct_addr addr = ct_loopback(AF_INET6, 0);
	int listener, client;

	ct_init();
	listen_at("::", "::1");
	listen_at("::1", "::1");
	listen_at("::ffff:127.0.0.1", "::ffff:127.0.0.1");
	listener = ct_listener(AF_INET6, 5);
	client = ct_socket(AF_INET6, 0);
	MUST(bind(client, SA(&addr)));
	addr = ct_local(listener);
	MUST(connect(client, SA(&addr)));
	ct_prove(client);
	show("bound client", client);
	return 0;
}
