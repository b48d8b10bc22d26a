/* SPDX-License-Identifier: MIT */
/* Both directions at once, 16 MiB each, by two threads an end. */
#include "harness.h"

#define TOTAL (16 << 20)

struct flow {
	int fd;
	uint64_t seed;
};

static void *send_all(void *argument)
{
	const struct flow *flow = argument;

	return (void *)(intptr_t)(ct_send_pattern(flow->fd, TOTAL, flow->seed) == TOTAL);
}

static void play(int fd, uint64_t out, uint64_t in)
{
	struct flow flow = {.fd = fd, .seed = out};
	pthread_t thread = ct_thread(send_all, &flow);
	void *sent;

	ct_note("received: %d", ct_recv_pattern(fd, TOTAL, in) == TOTAL);
	pthread_join(thread, &sent);
	ct_note("sent: %d", (int)(intptr_t)sent);
	TRY(shutdown(fd, SHUT_WR));
	TRY(read(fd, (char[8]){0}, 1));
}

static void server(int fd)
{
	play(fd, 1, 2);
}

static void client(int fd)
{
	play(fd, 2, 1);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
