/* SPDX-License-Identifier: MIT */
/* writev and readv with pieces of all sizes, empty ones among them, through a full buffer. */
#include "harness.h"

#define PIECES 64
#define ROUNDS 30

static size_t pieces(struct iovec *iov, char *base, unsigned seed)
{
	size_t total = 0;

	for (unsigned i = 0; i < PIECES; i++) {
		size_t n = (seed * 31 + i * 977) % 2000;

		iov[i] = (struct iovec){base + total, i % 7 == 0 ? 0 : n};
		total += iov[i].iov_len;
	}
	return total;
}

static void server(int fd)
{
	static char in[PIECES * 2000], expected[PIECES * 2000];
	struct iovec iov[PIECES];
	int right = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t total = pieces(iov, in, round), got = 0;
		ssize_t n = readv(fd, iov, PIECES);

		CHECK(n > 0);
		for (got = (size_t)n; got < total; got += (size_t)n) {
			n = read(fd, in + got, total - got);
			CHECK(n > 0);
		}
		ct_pattern(expected, total, 0, round);
		right += memcmp(in, expected, total) == 0;
	}
	ct_note("%d right", right);
}

static void client(int fd)
{
	static char out[PIECES * 2000];
	struct iovec iov[PIECES];

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t total = pieces(iov, out, round);
		ssize_t n;

		ct_pattern(out, total, 0, round);
		n = writev(fd, iov, PIECES);
		CHECK(n > 0);
		CHECK(ct_write_full(fd, out + n, total - (size_t)n) ==
		      (ssize_t)(total - (size_t)n));
	}
	ct_note("%d written", ROUNDS);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
