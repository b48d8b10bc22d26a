/* SPDX-License-Identifier: MIT */
/* Closed with bytes unread: the peer gets ECONNRESET at the next read, then EPIPE. */
#include "harness.h"

static void server(int fd)
{
	ct_await(fd, POLLIN);
	TRY(close(fd));
}

static void client(int fd)
{
	char byte;

	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, &byte, 1));
	TRY(read(fd, &byte, 1));
	TRY(write(fd, "x", 1));
	ct_so_error(fd);
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
