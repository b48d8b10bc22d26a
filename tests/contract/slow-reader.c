/* SPDX-License-Identifier: MIT */
/* A reader that does not read stops its own writer; other connections go on. */
#include "harness.h"

#define ROUNDS 200

static int64_t stuck_bytes;

static void server(int listener)
{
	int stuck = ct_accept(listener), lively = ct_accept(listener);
	int64_t total;
	char word[100];

	for (int i = 0; i < ROUNDS; i++) {
		CHECK(ct_read_full(lively, word, sizeof(word)) == sizeof(word));
		CHECK(ct_write_full(lively, word, sizeof(word)) == sizeof(word));
	}
	CHECK(ct_recv_pattern(lively, 4 << 20, 2) == 4 << 20);
	CHECK(ct_read_full(lively, &total, sizeof(total)) == sizeof(total));
	ct_note("the stuck one's bytes: %d", ct_recv_pattern(stuck, total, 1) == total);
	TRY(read(stuck, word, 1));
}

static void client(int port)
{
	int stuck = ct_connect(AF_INET, port), lively = ct_connect(AF_INET, port), right = 0;
	char out[100], in[100];

	ct_nonblock(stuck, true);
	stuck_bytes = ct_fill(stuck, 1);
	for (int i = 0; i < ROUNDS; i++) {
		ct_pattern(out, sizeof(out), 0, (uint64_t)i);
		CHECK(ct_write_full(lively, out, sizeof(out)) == sizeof(out));
		right += ct_read_full(lively, in, sizeof(in)) == sizeof(in) &&
			 memcmp(in, out, sizeof(in)) == 0;
	}
	ct_note("%d rounds right", right);
	ct_note("bulk beside it: %d", ct_send_pattern(lively, 4 << 20, 2) == 4 << 20);
	/* What room there still was is found by now. */
	stuck_bytes += ct_fill_on(stuck, stuck_bytes, 1);
	ct_poll(stuck, POLLOUT, 0);
	CHECK(ct_write_full(lively, &stuck_bytes, sizeof(stuck_bytes)) == sizeof(stuck_bytes));
	close(stuck);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
