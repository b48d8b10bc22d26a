/* SPDX-License-Identifier: MIT */
/* accept and I/O on descriptors that can't: the errno of TCP. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};
	int listener, fd, peer, file;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	fd = ct_connect(AF_INET, ct_port(listener));
	peer = ct_accept(listener);
	TRY(accept(fd, NULL, NULL));
	TRY(accept(peer, NULL, NULL));
	TRY(accept(ct_socket(AF_INET, 0), NULL, NULL));
	TRY(accept(ct_bound(AF_INET), NULL, NULL));
	file = MUST(open("/dev/null", O_RDWR));
	TRY(accept(file, NULL, NULL));
	close(file);
	TRY(accept(file, NULL, NULL));
	TRY(read(listener, (char[8]){0}, 1));
	TRY(recv(listener, (char[8]){0}, 1, MSG_DONTWAIT));
	TRY(write(listener, "x", 1));
	TRY(getpeername(listener, (struct sockaddr *)&addr.ss, &addr.len));
	ct_so_error(listener);
	return 0;
}
