/* SPDX-License-Identifier: MIT */
/* A thousand non-blocking writes of one byte in a row find room. */
#include "harness.h"

int main(void)
{
	char bytes[1000];
	int pair[2], written = 0;

	ct_init();
	ct_pair(pair);
	ct_nonblock(pair[0], true);
	ct_pattern(bytes, sizeof(bytes), 0, 3);
	while (written < 1000 && write(pair[0], bytes + written, 1) == 1)
		written++;
	ct_note("written %d", written);
	ct_note("all right: %d", ct_recv_pattern(pair[1], written, 3) == written);
	return 0;
}
