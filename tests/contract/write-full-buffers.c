/* SPDX-License-Identifier: MIT */
/* A writer fills all buffers: EAGAIN and no POLLOUT; a reader makes room; nothing is lost. */
#include "harness.h"

static int64_t written;

static void *drain(void *argument)
{
	int fd = *(int *)argument;

	return (void *)(intptr_t)(ct_recv_pattern(fd, written, 5) == written);
}

static ssize_t add_octet(int fd)
{
	char next[8];

	ct_pattern(next, sizeof(next), (uint64_t)(written & ~7), 5);
	return send(fd, next + written % 8, 1, written % 2 ? MSG_DONTWAIT : 0);
}

int main(void)
{
	struct pollfd p = {.events = POLLOUT};
	pthread_t thread;
	int pair[2];
	void *right;

	ct_init();
	ct_pair(pair);
	ct_nonblock(pair[0], true);
	written = ct_fill(pair[0], 5);
	ct_note("some written: %d", written > 0);
	/* A loaded machine may still make room somewhere. */
	while (add_octet(pair[0]) == 1)
		written++;
	ct_note("then %s", strerrorname_np(errno));
	ct_poll(pair[0], POLLIN | POLLOUT, 0);
	thread = ct_thread(drain, &pair[1]);
	p.fd = pair[0];
	ct_note("poll(OUT) = %d", poll(&p, 1, CT_LONG_MS));
	pthread_join(thread, &right);
	ct_note("all right: %d", (int)(intptr_t)right);
	TRY(write(pair[0], "x", 1));
	TRY(ct_read_full(pair[1], (char[8]){0}, 1));
	return 0;
}
