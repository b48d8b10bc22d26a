/* SPDX-License-Identifier: MIT */
/* TCP_INFO counts what is unacknowledged, and that becomes nothing when the peer has it all, or is gone with a reset:
 * programs wait for it. */
#include "harness.h"

enum { ROUNDS = 8, BYTES = 60000 };

static uint32_t unacked(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	return info.tcpi_unacked;
}

int main(void)
{
	static char sent[BYTES], got[BYTES];
	int pair[2];

	ct_init();
	ct_pair(pair);
	for (int i = 0; i < ROUNDS; i++) {
		int left = CT_LONG_MS;

		CHECK(ct_write_full(pair[0], sent, BYTES) == BYTES);
		CHECK(ct_read_full(pair[1], got, BYTES) == BYTES);
		while (unacked(pair[0]) > 0 && left-- > 0)
			usleep(1000);
		ct_note("round %d: all is acknowledged: %d", i, left > 0);
		CHECK(left > 0);
	}
	ct_nonblock(pair[0], true);
	ct_fill(pair[0], 1);
	CHECK(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
			 sizeof(struct linger)) == 0);
	close(pair[1]);
	ct_await(pair[0], POLLHUP);
	for (int left = CT_LONG_MS; unacked(pair[0]) > 0; left--) {
		CHECK(left > 0);
		usleep(1000);
	}
	ct_note("after a reset: nothing");
	return 0;
}
