/* SPDX-License-Identifier: MIT */
/* UDP, AF_UNIX and socketpairs beside a mapped connection are what they always were. */
#include "harness.h"

#include <sys/un.h>

int main(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
	struct ct_addr addr = ct_loopback(AF_INET, 0), from = {.len = sizeof(from.ss)};
	int pair[2], udp, other, listener, fd, domain = 0;
	socklen_t size = sizeof(domain);
	char word[8] = {0};

	ct_init();
	ct_pair(pair);
	udp = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(bind(udp, SA(&addr)));
	addr = ct_local(udp);
	ct_name_port(ct_addr_port(&addr), "UDP");
	other = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	TRY(connect(other, SA(&addr)));
	TRY(send(other, "hello", 5, 0));
	TRY(recvfrom(udp, word, 8, 0, (struct sockaddr *)&from.ss, &from.len));
	addr = ct_remote(other);
	ct_note("remote %s, from length %u", ct_addr_text(&addr), (unsigned)from.len);

	listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	unlink(name.sun_path);
	TRY(bind(listener, (struct sockaddr *)&name, sizeof(name)));
	TRY(listen(listener, 5));
	fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	TRY(connect(fd, (struct sockaddr *)&name, sizeof(name)));
	other = MUST(accept(listener, NULL, NULL));
	TRY(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size));
	ct_note("domain %d", domain);
	TRY(write(fd, "hello", 5));
	TRY(read(other, word, 5));
	close(fd);
	TRY(read(other, word, 5));
	TRY(getsockopt(other, IPPROTO_TCP, TCP_NODELAY, &domain, &size));
	return 0;
}
