/* SPDX-License-Identifier: MIT */
/* The accepting end closes at once, unread or not; the client's blocked read ends, as do others. */
#include "harness.h"

#define ROUNDS 50

static void server(int listener)
{
	for (int i = 0; i < ROUNDS; i++)
		close(ct_accept(listener));
	ct_note("%d closed", ROUNDS);
}

static void client(int port)
{
	int ends = 0;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = ct_connect(AF_INET, port);

		ends += read(fd, (char[8]){0}, 1) == 0;
		close(fd);
	}
	ct_note("%d ends", ends);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
