/* SPDX-License-Identifier: MIT */
/* A duplicated listener: both descriptors accept; it listens until the last one is closed. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr;
	int listener, other, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	other = MUST(dup(listener));
	ct_prove(other);
	ct_note("same name: %d", ct_port(other) == ct_port(listener));
	ct_connect(AF_INET, ct_addr_port(&addr));
	ct_connect(AF_INET, ct_addr_port(&addr));
	ct_accept(listener);
	ct_accept(other);
	TRY(close(listener));
	fd = ct_connect(AF_INET, ct_addr_port(&addr));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(other), (char[8]){0}, 5));
	fd = MUST(fcntl(other, F_DUPFD_CLOEXEC, 100));
	MUST(dup2(fd, other));
	ct_connect(AF_INET, ct_addr_port(&addr));
	ct_accept(other);
	TRY(close(other));
	TRY(close(fd));
	ct_refused(&addr);
	return 0;
}
