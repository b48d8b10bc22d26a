/* SPDX-License-Identifier: MIT */
/* One thread an end moves bytes both ways at once with poll and non-blocking calls. */
#include "harness.h"

#define TOTAL (2 << 20)

static void play(int fd, uint64_t out_seed, uint64_t in_seed)
{
	static char out[TOTAL], in[TOTAL + 1], expected[TOTAL];
	size_t sent = 0, got = 0;
	bool end = false;

	ct_pattern(out, TOTAL, 0, out_seed);
	ct_pattern(expected, TOTAL, 0, in_seed);
	ct_nonblock(fd, true);
	while (!end || sent < TOTAL) {
		struct pollfd p = {.fd = fd, .events = 0};
		ssize_t n;

		p.events = (short)((sent < TOTAL ? POLLOUT : 0) | (end ? 0 : POLLIN));
		CHECK(poll(&p, 1, CT_LONG_MS) == 1);
		if (p.revents & POLLIN) {
			n = recv(fd, in + got, sizeof(in) - got, 0);
			CHECK(n >= 0 || errno == EAGAIN);
			got += n > 0 ? (size_t)n : 0;
			end = n == 0;
		}
		if (p.revents & POLLOUT) {
			n = send(fd, out + sent, TOTAL - sent, MSG_NOSIGNAL);
			CHECK(n >= 0 || errno == EAGAIN);
			sent += n > 0 ? (size_t)n : 0;
			if (sent == TOTAL)
				MUST(shutdown(fd, SHUT_WR));
		}
	}
	ct_note("sent %zu, got %zu, right %d", sent, got, memcmp(in, expected, TOTAL) == 0);
}

static void server(int fd)
{
	play(fd, 1, 2);
}

static void client(int fd)
{
	play(fd, 2, 1);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
