/* SPDX-License-Identifier: MIT */
/* As many connections as the backlog holds are made before anybody accepts, and none is lost. */
#include "harness.h"

#define CLIENTS 16

static void server(int listener)
{
	long sum = 0, word;

	ct_hear();
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, &word, sizeof(word)) == sizeof(word));
		CHECK(ct_write_full(fd, &word, sizeof(word)) == sizeof(word));
		sum += word;
		close(fd);
	}
	ct_note("sum %ld", sum);
	ct_nonblock(listener, true);
	TRY(accept(listener, NULL, NULL));
}

static void client(int port)
{
	int fds[CLIENTS], right = 0;
	long back;

	for (long i = 0; i < CLIENTS; i++) {
		fds[i] = ct_connect(AF_INET, port);
		CHECK(ct_write_full(fds[i], &i, sizeof(i)) == sizeof(i));
	}
	ct_note("%d connected", CLIENTS);
	ct_tell();
	for (long i = 0; i < CLIENTS; i++)
		right += ct_read_full(fds[i], &back, sizeof(back)) == sizeof(back) && back == i;
	ct_note("%d right", right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
