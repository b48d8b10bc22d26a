/* SPDX-License-Identifier: MIT */
/* What comes after SHUT_RD. */
#include "harness.h"

int main(void)
{
	char buffer[8];
	int pair[2];

	ct_init();
	ct_pair(pair);
	TRY(shutdown(pair[0], SHUT_RD));
	TRY(recv(pair[0], buffer, sizeof(buffer), 0));
	TRY(write(pair[1], "hello", 5));
	/* An answer to something later has overtaken nothing. */
	TRY(write(pair[0], "x", 1));
	TRY(ct_read_full(pair[1], buffer, 1));
	usleep(100000);
	ct_note("later: %d", (int)recv(pair[0], buffer, sizeof(buffer), 0));
	TRY(recv(pair[0], buffer, sizeof(buffer), 0));
	ct_poll(pair[0], POLLIN | POLLRDHUP, 0);
	close(pair[0]);
	return 0;
}
