/* SPDX-License-Identifier: MIT */
/* A non-blocking write that is too big is done in part, and the count is true; so is sendmsg's. */
#include "harness.h"

#define BIG (32 << 20)

static char big[BIG];

int main(void)
{
	struct iovec iov[2] = {{big, BIG / 2}, {big + BIG / 2, BIG / 2}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	int pair[2];
	ssize_t n;

	ct_init();
	ct_pattern(big, sizeof(big), 0, 13);
	ct_pair(pair);
	ct_nonblock(pair[0], true);
	n = write(pair[0], big, BIG);
	ct_note("write: some %d, not all %d", n > 0, n < BIG);
	shutdown(pair[0], SHUT_WR);
	ct_note("right: %d", ct_recv_pattern(pair[1], n, 13) == n);
	TRY(read(pair[1], (char[8]){0}, 1));

	ct_pair(pair);
	n = sendmsg(pair[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	ct_note("sendmsg: some %d, not all %d", n > 0, n < BIG);
	shutdown(pair[0], SHUT_WR);
	ct_note("right: %d", ct_recv_pattern(pair[1], n, 13) == n);
	TRY(read(pair[1], (char[8]){0}, 1));

	ct_pair(pair);
	ct_nonblock(pair[0], true);
	n = writev(pair[0], iov, 2);
	ct_note("writev: some %d, not all %d", n > 0, n < BIG);
	shutdown(pair[0], SHUT_WR);
	ct_note("right: %d", ct_recv_pattern(pair[1], n, 13) == n);
	TRY(read(pair[1], (char[8]){0}, 1));
	return 0;
}
