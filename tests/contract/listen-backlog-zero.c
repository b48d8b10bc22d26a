/* SPDX-License-Identifier: MIT */
/* A backlog of 0 still takes a connection; a negative or huge one is taken too. */
#include "harness.h"

static void visit(int backlog)
{
	int listener = ct_bound(AF_INET), fd;

	TRY(listen(listener, backlog));
	ct_prove(listener);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	close(fd);
	close(listener);
}

int main(void)
{
	ct_init();
	visit(0);
	visit(-1);
	visit(1 << 30);
	return 0;
}
