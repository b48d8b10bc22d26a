/* SPDX-License-Identifier: MIT */
/* Shut down for writing, then closed with bytes unread: the peer is told at once, and its next write gets EPIPE. */
#include "harness.h"

static void server(int fd)
{
	char byte;

	TRY(read(fd, &byte, 1));
	TRY(write(fd, "unread", 6));
	ct_await(fd, POLLHUP);
	TRY(send(fd, "x", 1, MSG_NOSIGNAL));
	TRY(read(fd, &byte, 1));
	close(fd);
}

static void client(int fd)
{
	MUST(shutdown(fd, SHUT_WR));
	ct_await(fd, POLLIN);
	MUST(poll(NULL, 0, 100)); /* time for an engine to read the end of data */
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
