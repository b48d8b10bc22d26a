/* SPDX-License-Identifier: MIT */
/* The client half-closes: the server reads to the end, then still sends, and the client reads. */
#include "harness.h"

#define TOTAL (1 << 20)

static void server(int fd)
{
	ct_note("received %d", ct_recv_pattern(fd, TOTAL, 1) == TOTAL);
	TRY(read(fd, (char[8]){0}, 1));
	ct_events(fd, POLLRDHUP);
	TRY(read(fd, (char[8]){0}, 1));
	ct_note("sent %d", ct_send_pattern(fd, TOTAL, 2) == TOTAL);
	TRY(close(fd));
}

static void client(int fd)
{
	ct_note("sent %d", ct_send_pattern(fd, TOTAL, 1) == TOTAL);
	TRY(shutdown(fd, SHUT_WR));
	TRY(write(fd, "x", 1));
	ct_note("received %d", ct_recv_pattern(fd, TOTAL, 2) == TOTAL);
	TRY(read(fd, (char[8]){0}, 1));
	ct_events(fd, POLLHUP);
	ct_so_error(fd);
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
