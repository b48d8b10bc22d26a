/* SPDX-License-Identifier: MIT */
/* MSG_TRUNC on a stream throws bytes away, even without a buffer. */
#include "harness.h"

int main(void)
{
	char buffer[16] = {0};
	int pair[2];

	ct_init();
	ct_pair(pair);
	TRY(write(pair[0], "abcdefgh", 8));
	ct_await(pair[1], POLLIN);
	TRY(recv(pair[1], NULL, 3, MSG_TRUNC));
	TRY(recv(pair[1], buffer, 2, MSG_TRUNC));
	TRY(recv(pair[1], buffer, sizeof(buffer), 0));
	ct_note("left %s", buffer);
	return 0;
}
