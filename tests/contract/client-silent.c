/* SPDX-License-Identifier: MIT */
/* The client never writes: accept happens, 4 MiB come, and the end. */
#include "harness.h"

#define TOTAL (4 << 20)

static void server(int fd)
{
	ct_note("sent: %d", ct_send_pattern(fd, TOTAL, 2) == TOTAL);
	TRY(close(fd));
}

static void client(int fd)
{
	ct_note("received: %d", ct_recv_pattern(fd, TOTAL, 2) == TOTAL);
	TRY(read(fd, (char[8]){0}, 1));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
