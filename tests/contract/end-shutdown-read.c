/* SPDX-License-Identifier: MIT */
/* SHUT_RD: reads give what is there, then 0; the peer notices nothing and may go on sending. */
#include "harness.h"

int main(void)
{
	char buffer[16];
	int pair[2], n = 0;

	ct_init();
	ct_pair(pair);
	TRY(write(pair[0], "hello", 5));
	ct_await(pair[1], POLLIN);
	TRY(shutdown(pair[1], SHUT_RD));
	TRY(read(pair[1], buffer, sizeof(buffer)));
	TRY(read(pair[1], buffer, sizeof(buffer)));
	ct_events(pair[1], POLLIN | POLLRDHUP);
	ct_events(pair[0], POLLOUT);
	for (int i = 0; i < 50; i++)
		n += write(pair[0], "more", 4) == 4;
	ct_note("peer wrote %d", n);
	TRY(ct_write_full(pair[1], "answer", 6));
	TRY(ct_read_full(pair[0], buffer, 6));
	TRY(shutdown(pair[1], SHUT_RD));
	return 0;
}
