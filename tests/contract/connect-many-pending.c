/* SPDX-License-Identifier: MIT */
/* Thirty non-blocking connects at once in one poll: all come up, each with its own bytes. */
#include "harness.h"

#define CLIENTS 30

static void server(int listener)
{
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_accept(listener);
		char byte;

		CHECK(ct_read_full(fd, &byte, 1) == 1);
		byte = (char)(byte + 100);
		CHECK(ct_write_full(fd, &byte, 1) == 1);
		close(fd);
	}
}

static void client(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	struct pollfd polls[CLIENTS];
	int up = 0, right = 0;

	for (int i = 0; i < CLIENTS; i++) {
		polls[i] = (struct pollfd){ct_socket(AF_INET, SOCK_NONBLOCK), POLLOUT, 0};
		CHECK(connect(polls[i].fd, SA(&addr)) == -1 && errno == EINPROGRESS);
		ct_prove(polls[i].fd);
	}
	while (up < CLIENTS) {
		CHECK(poll(polls, CLIENTS, CT_LONG_MS) > 0);
		for (int i = 0; i < CLIENTS; i++) {
			char byte = (char)i;

			if (polls[i].fd < 0 || polls[i].revents == 0)
				continue;
			if (polls[i].events == POLLOUT) {
				CHECK(polls[i].revents == POLLOUT);
				CHECK(write(polls[i].fd, &byte, 1) == 1);
				polls[i].events = POLLIN;
				continue;
			}
			right += read(polls[i].fd, &byte, 1) == 1 && byte == (char)(i + 100);
			up++;
			close(polls[i].fd);
			polls[i].fd = -1;
		}
	}
	ct_note("%d up, %d right", up, right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
