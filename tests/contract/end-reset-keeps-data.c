/* SPDX-License-Identifier: MIT */
/* What had arrived before a reset can still be read; then comes ECONNRESET. */
#include "harness.h"

static void server(int fd)
{
	char buffer[16];

	TRY(ct_write_full(fd, "unread", 6));
	ct_await(fd, POLLIN);
	ct_tell();
	ct_await(fd, POLLERR | POLLHUP);
	TRY(read(fd, buffer, 3));
	TRY(read(fd, buffer, sizeof(buffer)));
	TRY(read(fd, buffer, sizeof(buffer)));
	TRY(read(fd, buffer, sizeof(buffer)));
}

static void client(int fd)
{
	TRY(ct_write_full(fd, "hello", 5));
	ct_await(fd, POLLIN);
	ct_hear();
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
