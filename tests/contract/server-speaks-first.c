/* SPDX-License-Identifier: MIT */
/* The server greets before the client says anything, with the client in a blocking read. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_write_full(fd, "220 hello\r\n", 11));
	TRY(ct_read_full(fd, (char[8]){0}, 4));
	close(fd);
}

static void client(int fd)
{
	char line[16] = {0};

	TRY(ct_read_full(fd, line, 11));
	ct_note("greeting %.9s", line);
	TRY(ct_write_full(fd, "QUIT", 4));
	TRY(read(fd, line, 1));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
