/* SPDX-License-Identifier: MIT */
/* Writes of zero bytes do nothing: no error, no end of file, no event at the peer. */
#include "harness.h"

int main(void)
{
	char buffer[8];
	int pair[2];

	ct_init();
	ct_pair(pair);
	TRY(write(pair[0], buffer, 0));
	TRY(send(pair[0], NULL, 0, 0));
	TRY(sendto(pair[0], buffer, 0, 0, NULL, 0));
	TRY(writev(pair[0], &(struct iovec){buffer, 0}, 1));
	ct_poll(pair[1], POLLIN | POLLRDHUP, 50);
	TRY(read(pair[1], buffer, 0));
	TRY(write(pair[0], "x", 1));
	TRY(ct_read_full(pair[1], buffer, 1));
	return 0;
}
