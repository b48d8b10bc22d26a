/* SPDX-License-Identifier: MIT */
/* sendfile on a non-blocking socket stops at full buffers and goes on from its offset. */
#include "harness.h"

#include <sys/sendfile.h>

#define TOTAL (16 << 20)

static int tube[2];

static void *drain(void *argument)
{
	int fd = *(int *)argument;

	CHECK(read(tube[0], &(char){0}, 1) == 1); /* the other side has found it full */
	return (void *)(intptr_t)(ct_recv_pattern(fd, TOTAL, 41) == TOTAL);
}

int main(void)
{
	pthread_t thread;
	off_t offset = 0;
	int pair[2], file, full = 0;
	void *right;

	ct_init();
	file = MUST(open("content", O_CREAT | O_RDWR, 0600));
	CHECK(ct_send_pattern(file, TOTAL, 41) == TOTAL);
	ct_pair(pair);
	MUST(pipe(tube));
	ct_nonblock(pair[0], true);
	thread = ct_thread(drain, &pair[1]);
	while (offset < TOTAL) {
		ssize_t n = sendfile(pair[0], file, &offset, (size_t)(TOTAL - offset));

		if (n >= 0)
			continue;
		CHECK(errno == EAGAIN);
		if (full++ == 0)
			CHECK(write(tube[1], "", 1) == 1);
		ct_await(pair[0], POLLOUT);
	}
	pthread_join(thread, &right);
	ct_note("right %d, was full %d", (int)(intptr_t)right, full > 0);
	TRY(sendfile(pair[0], pair[1], NULL, 10));
	TRY(sendfile(pair[0], file, NULL, 0));
	TRY(sendfile(-1, file, NULL, 10));
	return 0;
}
