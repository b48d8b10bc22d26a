/* SPDX-License-Identifier: MIT */
/* A blocked writer: SO_SNDTIMEO, EINTR and a partial count, and what was counted arrives. */
#include "harness.h"

#define BIG (64 << 20)

static char big[BIG];

int main(void)
{
	struct timeval limit = {.tv_usec = 300000}, none = {0};
	int64_t done = 0;
	ssize_t n;
	int pair[2];

	ct_init();
	ct_catch(SIGUSR1, 0);
	ct_pair(pair);
	ct_pattern(big, sizeof(big), 0, 9);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	n = write(pair[0], big, BIG);
	ct_note("bounded: some %d, not all %d", n > 0, n < BIG);
	done = n;
	/* With everything full there may still be room further on for a while. */
	while ((n = write(pair[0], big + done, (size_t)(BIG - done))) > 0)
		done += n;
	ct_note("then %zd %s", n, strerrorname_np(errno));
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)));
	ct_pester(pthread_self(), SIGUSR1);
	while ((n = write(pair[0], big + done, 1)) > 0)
		done += n;
	ct_note("interrupted %zd %s", n, strerrorname_np(errno));
	ct_pester_end();
	ct_note("all right: %d", ct_recv_pattern(pair[1], done, 9) == done);
	return 0;
}
