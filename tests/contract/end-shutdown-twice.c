/* SPDX-License-Identifier: MIT */
/* shutdown again and again, both ways, and what is said when the connection is over. */
#include "harness.h"

int main(void)
{
	int pair[2];

	ct_init();
	ct_pair(pair);
	TRY(shutdown(pair[0], 3));
	TRY(shutdown(pair[0], -1));
	TRY(shutdown(pair[0], SHUT_WR));
	TRY(shutdown(pair[0], SHUT_WR));
	TRY(shutdown(pair[0], SHUT_RDWR));
	ct_events(pair[0], POLLHUP);
	TRY(read(pair[0], (char[8]){0}, 1));
	TRY(write(pair[0], "x", 1));
	TRY(read(pair[1], (char[8]){0}, 1));
	TRY(close(pair[0]));
	TRY(close(pair[1]));

	/* Both ends at once. */
	ct_pair(pair);
	TRY(shutdown(pair[0], SHUT_RDWR));
	TRY(read(pair[1], (char[8]){0}, 1));
	TRY(shutdown(pair[1], SHUT_RDWR));
	ct_events(pair[0], POLLHUP);
	ct_events(pair[1], POLLHUP);
	TRY(read(pair[0], (char[8]){0}, 1));
	return 0;
}
