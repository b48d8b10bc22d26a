/* SPDX-License-Identifier: MIT */
/* MSG_MORE and TCP_CORK hold bytes back at most for a while: everything arrives, in order. */
#include "harness.h"

int main(void)
{
	char buffer[16] = {0};
	int pair[2], on = 1, off = 0;

	ct_init();
	ct_pair(pair);
	TRY(send(pair[0], "ab", 2, MSG_MORE));
	TRY(send(pair[0], "cd", 2, MSG_MORE));
	TRY(send(pair[0], "ef", 2, 0));
	TRY(ct_read_full(pair[1], buffer, 6));
	ct_note("read %s", buffer);
	TRY(setsockopt(pair[0], IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	TRY(write(pair[0], "gh", 2));
	TRY(write(pair[0], "ij", 2));
	TRY(setsockopt(pair[0], IPPROTO_TCP, TCP_CORK, &off, sizeof(off)));
	TRY(ct_read_full(pair[1], buffer, 4));
	ct_note("read %.4s", buffer);
	/* Forgotten MSG_MORE: TCP sends after 200 ms. */
	TRY(send(pair[0], "kl", 2, MSG_MORE));
	TRY(ct_read_full(pair[1], buffer, 2));
	TRY(send(pair[0], "mn", 2, MSG_MORE));
	TRY(close(pair[0]));
	TRY(ct_read_full(pair[1], buffer, 16));
	return 0;
}
