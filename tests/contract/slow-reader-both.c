/* SPDX-License-Identifier: MIT */
/* Four stuck connections, two each way, and a lively one: nobody waits for a foreign reader. */
#include "harness.h"

#define STUCK 4

static int64_t filled[STUCK];

static void server(int listener)
{
	int stuck[STUCK], lively;
	char word[8];

	for (int i = 0; i < STUCK; i++)
		stuck[i] = ct_accept(listener);
	lively = ct_accept(listener);
	for (int i = 2; i < STUCK; i++) {
		ct_nonblock(stuck[i], true);
		filled[i] = ct_fill(stuck[i], (uint64_t)i);
	}
	ct_note("lively: %d", ct_recv_pattern(lively, 2 << 20, 9) == 2 << 20);
	CHECK(ct_send_pattern(lively, 2 << 20, 10) == 2 << 20);
	CHECK(ct_write_full(lively, filled, sizeof(filled)) == sizeof(filled));
	CHECK(ct_read_full(lively, filled, sizeof(filled)) == sizeof(filled));
	for (int i = 0; i < 2; i++)
		ct_note("stuck %d: %d", i,
			ct_recv_pattern(stuck[i], filled[i], (uint64_t)i) == filled[i]);
	ct_tell();
	ct_note("end %zd", read(lively, word, 1));
}

static void client(int port)
{
	int64_t theirs[STUCK];
	int stuck[STUCK], lively;

	for (int i = 0; i < STUCK; i++)
		stuck[i] = ct_connect(AF_INET, port);
	lively = ct_connect(AF_INET, port);
	for (int i = 0; i < 2; i++) {
		ct_nonblock(stuck[i], true);
		filled[i] = ct_fill(stuck[i], (uint64_t)i);
	}
	CHECK(ct_send_pattern(lively, 2 << 20, 9) == 2 << 20);
	ct_note("lively: %d", ct_recv_pattern(lively, 2 << 20, 10) == 2 << 20);
	CHECK(ct_read_full(lively, theirs, sizeof(theirs)) == sizeof(theirs));
	CHECK(ct_write_full(lively, filled, sizeof(filled)) == sizeof(filled));
	ct_hear();
	for (int i = 2; i < STUCK; i++)
		ct_note("stuck %d: %d", i,
			ct_recv_pattern(stuck[i], theirs[i], (uint64_t)i) == theirs[i]);
	close(lively);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
