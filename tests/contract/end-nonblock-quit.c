/* SPDX-License-Identifier: MIT */
/* What a client writes right before it closes arrives, though it has not read all, however it was connected. */
#include "harness.h"

#define TIMES 10

static void server(int listener)
{
	char word[8];
	int arrived = 0;

	for (int i = 0; i < TIMES; i++) {
		int fd = ct_accept(listener);

		CHECK(write(fd, "banner", 6) == 6);
		arrived += ct_read_full(fd, word, 4) == 4 && memcmp(word, "QUIT", 4) == 0;
		close(fd);
	}
	ct_note("arrived %d", arrived);
}

static void client(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);

	for (int i = 0; i < TIMES; i++) {
		int fd = ct_socket(AF_INET, SOCK_NONBLOCK);

		CHECK(connect(fd, SA(&addr)) == 0 || errno == EINPROGRESS);
		ct_await(fd, POLLIN);
		CHECK(write(fd, "QUIT", 4) == 4);
		close(fd);
	}
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
