/* SPDX-License-Identifier: MIT */
/* An IPv6 listener names clients in its own family, whole and cut short; IPv4 ones are v4-mapped. */
#include "harness.h"

int main(void)
{
	struct ct_addr any, server, seen;
	int listener, fd, off = 0;

	ct_init();
	any = ct_addr_of("::", 0);
	listener = ct_socket(AF_INET6, 0);
	MUST(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	MUST(bind(listener, SA(&any)));
	MUST(listen(listener, 5));
	ct_prove(listener);
	server = ct_loopback(AF_INET, ct_port(listener));
	for (unsigned room = 0; room <= 28; room += 14) {
		fd = ct_socket(AF_INET, 0);
		MUST(connect(fd, SA(&server)));
		memset(&seen, 0, sizeof(seen));
		seen.len = room;
		fd = MUST(accept(listener, (struct sockaddr *)&seen.ss, &seen.len));
		ct_prove(fd);
		ct_note("room %u: length %u, family %d", room, (unsigned)seen.len,
			seen.ss.ss_family);
		seen = ct_remote(fd);
		ct_note("room %u: getpeername %s", room, ct_addr_text(&seen));
	}
	return 0;
}
