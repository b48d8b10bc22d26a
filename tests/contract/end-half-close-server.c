/* SPDX-License-Identifier: MIT */
/* The server half-closes: the client sees the end, then still sends. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_write_full(fd, "hello", 5));
	TRY(shutdown(fd, SHUT_WR));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(read(fd, (char[8]){0}, 1));
	ct_events(fd, POLLHUP);
	TRY(close(fd));
}

static void client(int fd)
{
	TRY(ct_read_full(fd, (char[8]){0}, 8));
	ct_events(fd, POLLRDHUP);
	TRY(ct_write_full(fd, "later", 5));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
