/* SPDX-License-Identifier: MIT */
/* Ten thousand writes of one byte, while the reader does not read yet: none blocks for ever. */
#include "harness.h"

#define TOTAL 10000

static void server(int fd)
{
	ct_hear();
	ct_note("all right: %d", ct_recv_pattern(fd, TOTAL, 3) == TOTAL);
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int fd)
{
	char bytes[TOTAL];
	int on = 1, written = 0;

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	ct_pattern(bytes, sizeof(bytes), 0, 3);
	for (int i = 0; i < TOTAL; i++)
		written += (int)write(fd, bytes + i, 1);
	ct_note("written %d", written);
	ct_tell();
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
