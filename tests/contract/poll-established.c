/* SPDX-License-Identifier: MIT */
/* The events of a connection through its life: idle, data, end, and the peer closed. */
#include "harness.h"

int main(void)
{
	char buffer[8];
	int pair[2];

	ct_init();
	ct_pair(pair);
	ct_events(pair[0], POLLOUT);
	ct_events(pair[1], POLLOUT);
	TRY(write(pair[0], "ab", 2));
	ct_events(pair[1], POLLIN);
	TRY(read(pair[1], buffer, 1));
	ct_events(pair[1], POLLIN);
	TRY(read(pair[1], buffer, 1));
	ct_events(pair[1], POLLOUT);
	TRY(shutdown(pair[0], SHUT_WR));
	ct_events(pair[1], POLLIN | POLLRDHUP);
	ct_events(pair[0], POLLOUT);
	TRY(read(pair[1], buffer, 1));
	ct_events(pair[1], POLLIN | POLLRDHUP);
	TRY(shutdown(pair[1], SHUT_WR));
	ct_events(pair[1], POLLHUP);
	ct_events(pair[0], POLLHUP);
	TRY(read(pair[0], buffer, 1));
	ct_so_error(pair[0]);
	ct_so_error(pair[1]);
	return 0;
}
