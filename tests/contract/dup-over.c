/* SPDX-License-Identifier: MIT */
/* dup2 and dup3 of files over connections: that closes them; over a listener: it is gone. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr;
	int pair[2], file, listener;

	ct_init();
	file = MUST(open("/dev/null", O_RDWR));
	ct_pair(pair);
	TRY(write(pair[0], "hello", 5));
	TRY(dup2(file, pair[0]) == pair[0]);
	TRY(write(pair[0], "x", 1));
	TRY(ct_read_full(pair[1], (char[8]){0}, 8));
	TRY(write(pair[1], "x", 1));
	ct_pair(pair);
	TRY(dup3(file, pair[1], O_CLOEXEC) == pair[1]);
	TRY(read(pair[0], (char[8]){0}, 1));
	TRY(fcntl(pair[1], F_GETFD));
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	TRY(dup2(file, listener) == listener);
	ct_refused(&addr);
	TRY(write(listener, "x", 1));
	/* A number that was a file before becomes a connection. */
	ct_pair(pair);
	TRY(dup2(pair[0], file) == file);
	ct_prove(file);
	TRY(write(file, "hello", 5));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	return 0;
}
