/* SPDX-License-Identifier: MIT */
/* Two threads wait in connect() on one socket, and it fails: one of them gets the errno, the other ECONNABORTED (EPIPE
 * since Linux 6.6). */
#include "harness.h"

#define PAIRS 8

static struct pair {
	int fd;
	struct ct_addr nobody;
	pthread_t threads[2];
	int results[2];
	bool both_waited;
} pairs[PAIRS];

static int connect_to(struct pair *pair)
{
	return connect(pair->fd, SA(&pair->nobody)) < 0 ? errno : 0;
}

static void *first(void *argument)
{
	struct pair *pair = argument;

	pair->results[0] = connect_to(pair);
	return NULL;
}

static void *second(void *argument)
{
	struct pair *pair = argument;

	pair->results[1] = connect_to(pair);
	return NULL;
}

static bool is_connecting(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	return info.tcpi_state == TCP_SYN_SENT;
}

/* The second comes when the attempt of the first has begun: else there may be two. */
static void begin(struct pair *pair, int port)
{
	int tries = 1;

	/* run-one's policy limits the handshake with this half of the network to a second. */
	pair->nobody = ct_addr_of("203.0.113.200", port);
	pair->fd = ct_socket(AF_INET, 0);
	MUST(setsockopt(pair->fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries)));
	pair->threads[0] = ct_thread(first, pair);
	while (!is_connecting(pair->fd))
		usleep(1000);
	pair->threads[1] = ct_thread(second, pair);
	ct_await_blocked(pair->threads[1]);
	pair->both_waited = is_connecting(pair->fd);
}

/* 1 if one was told the errno; 0 if the machine was too slow, and the second came after the end. */
static int finish(struct pair *pair)
{
	int told = 0;

	for (int i = 0; i < 2; i++)
		ct_join(pair->threads[i]);
	if (pair->both_waited) {
		ct_prove(pair->fd);
		for (int i = 0; i < 2; i++) {
			told += pair->results[i] == ETIMEDOUT;
			CHECK(pair->results[i] == ETIMEDOUT || pair->results[i] == ECONNABORTED ||
			      pair->results[i] == EPIPE);
		}
		if (told != 1)
			ct_note("%d of two are told the errno", told);
	}
	MUST(close(pair->fd));
	return pair->both_waited;
}

int main(void)
{
	int seen = 0;

	ct_init_own_net();
	for (int round = 0; round < 10 && seen == 0; round++) {
		for (int i = 0; i < PAIRS; i++)
			begin(&pairs[i], 80 + round * PAIRS + i);
		for (int i = 0; i < PAIRS; i++)
			seen += finish(&pairs[i]);
	}
	CHECK(seen > 0);
	ct_note("one is told the errno");
	return 0;
}
