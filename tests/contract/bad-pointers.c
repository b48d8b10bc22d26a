/* SPDX-License-Identifier: MIT */
/* Pointers that lead nowhere: EFAULT from each call, and the connection is as it was. */
#include "harness.h"

static void *volatile nowhere = (void *)8;

int main(void)
{
	int pair[2];

	ct_init();
	ct_pair(pair);
	TRY(write(pair[0], nowhere, 5));
	TRY(send(pair[0], nowhere, 5, MSG_NOSIGNAL));
	TRY(writev(pair[0], nowhere, 1));
	TRY(write(pair[0], "hello", 5));
	ct_await(pair[1], POLLIN);
	TRY(read(pair[1], nowhere, 5));
	TRY(recv(pair[1], nowhere, 5, MSG_DONTWAIT));
	TRY(readv(pair[1], nowhere, 1));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	return 0;
}
