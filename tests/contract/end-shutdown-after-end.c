/* SPDX-License-Identifier: MIT */
/* shutdown when both directions have ended is ENOTCONN, and so is getpeername. */
#include "harness.h"

#include <unistd.h>

/* The last acknowledgement closes it, a moment after the other side has seen the end. */
static void wait_closed(int fd)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};

	for (int i = 0;
	     i < CT_LONG_MS && getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len) == 0; i++)
		usleep(1000);
}

int main(void)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};
	int pair[2];

	ct_init();
	ct_pair(pair);
	/* The end that closes first goes to TIME_WAIT; the other is simply closed. */
	TRY(shutdown(pair[0], SHUT_WR));
	TRY(read(pair[1], (char[8]){0}, 1));
	TRY(getpeername(pair[1], (struct sockaddr *)&addr.ss, &addr.len));
	TRY(shutdown(pair[1], SHUT_WR));
	ct_events(pair[0], POLLHUP);
	ct_events(pair[1], POLLHUP);
	TRY(read(pair[0], (char[8]){0}, 1));
	wait_closed(pair[1]);
	TRY(shutdown(pair[1], SHUT_WR));
	TRY(shutdown(pair[1], SHUT_RDWR));
	TRY(getpeername(pair[1], (struct sockaddr *)&addr.ss, &addr.len));
	return 0;
}
