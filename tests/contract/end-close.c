/* SPDX-License-Identifier: MIT */
/* Closed with everything read: the peer reads 0, again and again, and can't be told apart. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(close(fd));
}

static void client(int fd)
{
	struct ct_addr remote;
	char byte;

	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, &byte, 1));
	TRY(read(fd, &byte, 1));
	TRY(recv(fd, &byte, 1, MSG_DONTWAIT));
	ct_events(fd, POLLIN | POLLRDHUP);
	ct_so_error(fd);
	remote = ct_remote(fd);
	ct_note("remote %s", ct_addr_text(&remote));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
