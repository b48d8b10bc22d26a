/* SPDX-License-Identifier: MIT */
/* Connections wait in the queue in the order in which they were made, each with what it has sent. */
#include "harness.h"

#define CLIENTS 8
#define TOTAL 50000

static void server(int listener)
{
	ct_hear();
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_accept(listener);

		ct_note("%d: right %d", i, ct_recv_pattern(fd, TOTAL, (uint64_t)i) == TOTAL);
		CHECK(read(fd, (char[8]){0}, 1) == 0);
		close(fd);
	}
}

static void client(int port)
{
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_connect(AF_INET, port);

		CHECK(ct_send_pattern(fd, TOTAL, (uint64_t)i) == TOTAL);
		close(fd);
	}
	ct_tell();
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
