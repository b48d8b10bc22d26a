/* SPDX-License-Identifier: MIT */
/* A connect that does not block, and one that does, with every size of SO_SNDBUF; it is read back, and bytes go through. */
#include "harness.h"

static void try_size(const struct ct_addr *addr, int listener, int octets, int flags)
{
	char text[3001] = {0};
	int fd = ct_socket(AF_INET, flags), before = 0, after = 0, peer;
	socklen_t len = sizeof(before);

	ct_note("%d, flags %d", octets, flags);
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof(octets)));
	MUST(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &len));
	TRY(connect(fd, (const struct sockaddr *)&addr->ss, addr->len));
	ct_await(fd, POLLOUT);
	ct_so_error(fd);
	ct_prove(fd);
	MUST(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &after, &len));
	ct_note("as it was %d", before == after);
	peer = ct_accept(listener);
	ct_nonblock(fd, false);
	TRY(ct_send_pattern(fd, sizeof(text), 7));
	MUST(shutdown(fd, SHUT_WR));
	TRY(ct_recv_pattern(peer, sizeof(text), 7));
	TRY(read(peer, text, 1));
	close(fd);
	close(peer);
}

int main(void)
{
	static const int sizes[] = {1, 1024, 2304, 3000, 4096, 5000, 8192, 16384, 65536};
	struct ct_addr addr;
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		try_size(&addr, listener, sizes[i], SOCK_NONBLOCK);
		try_size(&addr, listener, sizes[i], 0);
	}
	return 0;
}
