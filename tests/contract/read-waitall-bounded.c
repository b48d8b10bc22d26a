/* SPDX-License-Identifier: MIT */
/* MSG_WAITALL is cut short by SO_RCVTIMEO, by a signal, by the end: what is there is given. */
#include "harness.h"

int main(void)
{
	struct timeval limit = {.tv_usec = 100000}, none = {0};
	char buffer[16];
	int pair[2];

	ct_init();
	ct_pair(pair);
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	TRY(write(pair[0], "abc", 3));
	ct_await(pair[1], POLLIN);
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	ct_catch(SIGUSR1, 0);
	TRY(write(pair[0], "de", 2));
	ct_await(pair[1], POLLIN);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	ct_pester_end();
	ct_nonblock(pair[1], true);
	TRY(write(pair[0], "f", 1));
	ct_await(pair[1], POLLIN);
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	return 0;
}
