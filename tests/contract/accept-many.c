/* SPDX-License-Identifier: MIT */
/* A hundred connections open at once over two engines, each with its own talk. */
#include "harness.h"

#define CLIENTS 100

static void server(int listener)
{
	int fds[CLIENTS];
	long word;

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ct_accept(listener);
	for (int i = CLIENTS - 1; i >= 0; i--) {
		CHECK(ct_read_full(fds[i], &word, sizeof(word)) == sizeof(word));
		word *= 3;
		CHECK(ct_write_full(fds[i], &word, sizeof(word)) == sizeof(word));
	}
}

static void client(int port)
{
	int fds[CLIENTS], right = 0;
	long word;

	for (long i = 0; i < CLIENTS; i++) {
		fds[i] = ct_connect(AF_INET, port);
		CHECK(ct_write_full(fds[i], &i, sizeof(i)) == sizeof(i));
	}
	for (int i = 0; i < CLIENTS; i++)
		right += ct_read_full(fds[i], &word, sizeof(word)) == sizeof(word) && word == 3 * i;
	ct_note("%d right", right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
