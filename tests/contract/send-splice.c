/* SPDX-License-Identifier: MIT */
/* splice from a socket to a socket through a pipe, as proxies do, until the end. */
#include "harness.h"

#define TOTAL (4 << 20)

static void *feed(void *argument)
{
	int fd = *(int *)argument;

	CHECK(ct_send_pattern(fd, TOTAL, 31) == TOTAL);
	MUST(shutdown(fd, SHUT_WR));
	return NULL;
}

static void *relay(void *argument)
{
	int *fds = argument, tube[2];
	int64_t moved = 0;
	ssize_t n;

	ct_as("relay");
	MUST(pipe(tube));
	while ((n = splice(fds[0], NULL, tube[1], NULL, 65536, SPLICE_F_MOVE)) > 0) {
		moved += n;
		while (n > 0)
			n -= MUST(splice(tube[0], NULL, fds[1], NULL, (size_t)n, SPLICE_F_MOVE));
	}
	ct_note("moved %ld, then %zd", (long)moved, n);
	MUST(shutdown(fds[1], SHUT_WR));
	return NULL;
}

int main(void)
{
	int in[2], out[2], middle[2];
	pthread_t feeder, relayer;

	ct_init();
	ct_pair(in);
	ct_pair(out);
	middle[0] = in[1];
	middle[1] = out[0];
	feeder = ct_thread(feed, &in[0]);
	relayer = ct_thread(relay, middle);
	ct_note("right: %d", ct_recv_pattern(out[1], TOTAL, 31) == TOTAL);
	TRY(read(out[1], (char[8]){0}, 1));
	ct_join(feeder);
	ct_join(relayer);
	return 0;
}
