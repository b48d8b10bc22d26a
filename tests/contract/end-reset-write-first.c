/* SPDX-License-Identifier: MIT */
/* After a reset the first write takes ECONNRESET, the second gets EPIPE; reads then give 0. */
#include "harness.h"

int main(void)
{
	struct linger none = {.l_onoff = 1};
	int pair[2];

	ct_init();
	ct_pair(pair);
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(pair[1]);
	ct_await(pair[0], POLLERR | POLLHUP);
	TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));
	TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));
	TRY(read(pair[0], (char[8]){0}, 1));
	return 0;
}
