/* SPDX-License-Identifier: MIT */
/* What was written before close() arrives whole: the answer to a request that is not read to its end, and a request to a
 * server that greets while its client leaves. */
#include "harness.h"

#define ROUNDS 10
#define ANSWER 20000
#define REQUEST 60000

static char octets[REQUEST];

static size_t read_to_end(int fd)
{
	char buffer[4096];
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		got += (size_t)n;
	return got;
}

static void server(int listener)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ct_accept(listener);

		CHECK(read(fd, octets, 1) == 1);
		CHECK(ct_write_full(fd, octets, ANSWER) == ANSWER);
		close(fd);
	}
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ct_accept(listener);

		send(fd, "hello", 5, MSG_NOSIGNAL);
		ct_note("request %zu", read_to_end(fd));
		close(fd);
	}
}

static void client(int port)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ct_connect(AF_INET, port);

		CHECK(ct_write_full(fd, octets, REQUEST) == REQUEST);
		ct_note("answer %zu", read_to_end(fd));
		close(fd);
	}
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ct_connect(AF_INET, port);

		CHECK(ct_write_full(fd, octets, ANSWER) == ANSWER);
		close(fd);
	}
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
