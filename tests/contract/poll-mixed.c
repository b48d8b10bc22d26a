/* SPDX-License-Identifier: MIT */
/* One poll over connections, a pipe, a file and what is not open: each says its own. */
#include "harness.h"

int main(void)
{
	struct pollfd p[6];
	int pair[2], tube[2], n;

	ct_init();
	ct_pair(pair);
	MUST(pipe(tube));
	p[0] = (struct pollfd){pair[0], POLLIN | POLLOUT, 0};
	p[1] = (struct pollfd){pair[1], POLLIN, 0};
	p[2] = (struct pollfd){tube[0], POLLIN, 0};
	p[3] = (struct pollfd){MUST(open("/dev/null", O_RDONLY)), POLLIN, 0};
	p[4] = (struct pollfd){-1, POLLIN, 0};
	p[5] = (struct pollfd){900, POLLIN, 0};
	n = poll(p, 6, 1000);
	for (int i = 0; i < 6; i++)
		ct_note("%d of %d: %s", i, n, ct_event_names((uint32_t)p[i].revents));
	TRY(write(pair[0], "x", 1));
	ct_await(pair[1], POLLIN);
	TRY(write(tube[1], "x", 1));
	n = poll(p, 3, 1000);
	for (int i = 0; i < 3; i++)
		ct_note("%d of %d: %s", i, n, ct_event_names((uint32_t)p[i].revents));
	return 0;
}
