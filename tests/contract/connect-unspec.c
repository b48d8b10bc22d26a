/* SPDX-License-Identifier: MIT */
/* connect(AF_UNSPEC) dissolves a connection; the descriptor can connect again. */
#include "harness.h"

int main(void)
{
	struct ct_addr none = {.ss.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};
	struct ct_addr server, addr = {.len = sizeof(addr.ss)};
	int listener, fd, peer, error;
	socklen_t size = sizeof(error);

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = ct_accept(listener);
	TRY(connect(fd, SA(&none)));
	TRY(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(read(peer, (char[8]){0}, 1));
	close(peer);
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size)); /* of the first life, if any */
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	peer = ct_accept(listener);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
