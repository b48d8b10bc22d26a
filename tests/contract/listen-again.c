/* SPDX-License-Identifier: MIT */
/* A listener that was shut down can listen again, and serves as before. */
#include "harness.h"

int main(void)
{
	int listener, fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	TRY(shutdown(listener, SHUT_RDWR));
	TRY(listen(listener, 5));
	ct_prove(listener);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
