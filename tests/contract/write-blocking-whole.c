/* SPDX-License-Identifier: MIT */
/* A blocking write of much more than all buffers hold returns when all of it is written. */
#include "harness.h"

#define BIG (16 << 20)

static char big[BIG];

static void serve(int fd)
{
	ct_note("first right: %d", ct_recv_pattern(fd, BIG, 8) == BIG);
	ct_note("second right: %d", ct_recv_pattern(fd, BIG, 8) == BIG);
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int fd)
{
	ct_pattern(big, sizeof(big), 0, 8);
	ct_note("write %d", write(fd, big, BIG) == BIG);
	ct_note("send %d", send(fd, big, BIG, MSG_NOSIGNAL) == BIG);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, serve, client);
}
