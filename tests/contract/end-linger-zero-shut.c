/* SPDX-License-Identifier: MIT */
/* SO_LINGER 0 after shutdown, and on one of two descriptors: only the last close resets. */
#include "harness.h"

static void linger_zero(int fd)
{
	struct linger none = {.l_onoff = 1};

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
}

int main(void)
{
	int pair[2], other;

	ct_init();
	ct_pair(pair);
	other = MUST(dup(pair[0]));
	linger_zero(pair[0]);
	TRY(close(pair[0]));
	TRY(write(other, "still", 5));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	TRY(close(other));
	TRY(read(pair[1], (char[8]){0}, 1));
	close(pair[1]);

	/* Set and taken back: an ordinary close. */
	ct_pair(pair);
	linger_zero(pair[0]);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &(struct linger){0},
			sizeof(struct linger)));
	TRY(write(pair[0], "bye", 3));
	TRY(close(pair[0]));
	TRY(ct_read_full(pair[1], (char[8]){0}, 8));
	close(pair[1]);

	/* What was not delivered yet is thrown away: the peer never sees an end in order. */
	ct_pair(pair);
	linger_zero(pair[0]);
	TRY(close(pair[0]));
	TRY(read(pair[1], (char[8]){0}, 1));
	TRY(read(pair[1], (char[8]){0}, 1));
	return 0;
}
