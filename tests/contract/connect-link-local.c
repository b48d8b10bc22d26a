/* SPDX-License-Identifier: MIT */
/* IPv6 link-local: a scope is needed; both ends name the address with it. */
#include "harness.h"

#include <net/if.h>

struct ct_in6_ifreq {
	struct in6_addr address;
	uint32_t prefix;
	int index;
};

static uint32_t scope_of(const struct ct_addr *addr)
{
	return ((const struct sockaddr_in6 *)&addr->ss)->sin6_scope_id;
}

int main(void)
{
	struct ct_in6_ifreq request = {.prefix = 64, .index = 1};
	struct ct_addr server, seen = {.len = sizeof(seen.ss)};
	int listener, fd, peer, helper;

	ct_init_own_net();
	helper = MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	server = ct_addr_of("fe80::1", 0);
	request.address = ((struct sockaddr_in6 *)&server.ss)->sin6_addr;
	if (ioctl(helper, SIOCSIFADDR, &request) != 0)
		ct_skip("no link-local address on loopback");
	close(helper);
	((struct sockaddr_in6 *)&server.ss)->sin6_scope_id = 1;
	listener = ct_socket(AF_INET6, 0);
	/* Duplicate address detection takes a moment, if it is not off. */
	for (int i = 0; bind(listener, SA(&server)) != 0 && i < CT_LONG_MS; i++)
		usleep(1000);
	MUST(listen(listener, 5));
	ct_prove(listener);
	ct_name_port(ct_port(listener), "SERVER");
	server = ct_local(listener);
	ct_note("listening at %s, scope %u", ct_addr_text(&server), scope_of(&server));

	fd = ct_socket(AF_INET6, 0);
	((struct sockaddr_in6 *)&server.ss)->sin6_scope_id = 0;
	TRY(connect(fd, SA(&server)));
	((struct sockaddr_in6 *)&server.ss)->sin6_scope_id = 1;
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = MUST(accept(listener, (struct sockaddr *)&seen.ss, &seen.len));
	ct_note("accepted %s, scope %u, length %u", ct_addr_text(&seen), scope_of(&seen),
		(unsigned)seen.len);
	seen = ct_local(fd);
	ct_note("local %s, scope %u", ct_addr_text(&seen), scope_of(&seen));
	seen = ct_remote(fd);
	ct_note("remote %s, scope %u", ct_addr_text(&seen), scope_of(&seen));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
