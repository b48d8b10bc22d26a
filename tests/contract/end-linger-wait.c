/* SPDX-License-Identifier: MIT */
/* SO_LINGER with a time: close waits for delivery, is bounded, and loses nothing that was read. */
#include "harness.h"

static void server(int fd)
{
	ct_note("received %d", ct_recv_pattern(fd, 4 << 20, 1) == 4 << 20);
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 5};
	socklen_t size = sizeof(linger);

	TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	linger.l_linger = 0;
	TRY(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size));
	ct_note("linger %d %d", linger.l_onoff, linger.l_linger);
	ct_note("sent %d", ct_send_pattern(fd, 4 << 20, 1) == 4 << 20);
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
