/* SPDX-License-Identifier: MIT */
/* The client wrote and closed before accept: the connection is still handed over, with its data. */
#include "harness.h"

static void server(int listener)
{
	struct ct_addr remote;
	char word[8];
	int fd;

	ct_hear();
	ct_await(listener, POLLIN);
	fd = ct_accept(listener);
	remote = ct_remote(fd);
	ct_note("peer %s", ct_addr_text(&remote));
	TRY(ct_read_full(fd, word, 5));
	TRY(read(fd, word, 1));
	ct_events(fd, POLLRDHUP);
}

static void client(int port)
{
	int fd = ct_connect(AF_INET, port);

	TRY(ct_write_full(fd, "hello", 5));
	TRY(close(fd));
	ct_tell();
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
