/* SPDX-License-Identifier: MIT */
/* Request and answer, two hundred times, sizes from one byte to 40,000, over two engines. */
#include "harness.h"

#define ROUNDS 200

static size_t size_of(int round)
{
	return (size_t)(round * round) + 1;
}

static void server(int fd)
{
	char buffer[ROUNDS * ROUNDS + 1];
	int round;

	for (round = 0; round < ROUNDS; round++) {
		ssize_t n = ct_read_full(fd, buffer, size_of(round));

		CHECK(n == (ssize_t)size_of(round));
		CHECK(ct_write_full(fd, buffer, (size_t)n) == n);
	}
	ct_note("%d rounds", round);
	TRY(read(fd, buffer, 1));
}

static void client(int fd)
{
	char out[ROUNDS * ROUNDS + 1], in[sizeof(out)];
	int right = 0;

	for (int round = 0; round < ROUNDS; round++) {
		ssize_t n = (ssize_t)size_of(round);

		ct_pattern(out, (size_t)n, 0, (uint64_t)round);
		CHECK(ct_write_full(fd, out, (size_t)n) == n);
		right += ct_read_full(fd, in, (size_t)n) == n && memcmp(in, out, (size_t)n) == 0;
	}
	ct_note("%d right", right);
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
