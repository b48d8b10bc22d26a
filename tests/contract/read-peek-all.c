/* SPDX-License-Identifier: MIT */
/* MSG_PEEK with MSG_WAITALL waits for all, and looking is counted with MSG_TRUNC. */
#include "harness.h"

#define BIG 60000

static int pair[2];

static void *write_rest(void *argument)
{
	pthread_t *reader = argument;

	for (const char *c = "fghij"; *c; c++) {
		ct_await_blocked(*reader);
		CHECK(write(pair[0], c, 1) == 1);
	}
	return NULL;
}

static void *shut(void *argument)
{
	pthread_t *reader = argument;

	ct_await_blocked(*reader);
	CHECK(shutdown(pair[0], SHUT_WR) == 0);
	return NULL;
}

static void await_bytes(int n)
{
	int there = 0;

	for (int i = 0; i < CT_LONG * 100 && there < n; i++) {
		MUST(ioctl(pair[1], FIONREAD, &there));
		usleep(10000);
	}
}

static void wait_for_all(void)
{
	pthread_t self = pthread_self(), thread;
	char buffer[16] = "";

	CHECK(write(pair[0], "abcde", 5) == 5);
	ct_await(pair[1], POLLIN);
	thread = ct_thread(write_rest, &self);
	TRY(recv(pair[1], buffer, 10, MSG_PEEK | MSG_WAITALL));
	ct_note("peeked %s", buffer);
	ct_join(thread);
	TRY(recv(pair[1], buffer, 16, MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT));
	TRY(recv(pair[1], buffer, 10, MSG_PEEK | MSG_WAITALL));
}

static void take_what_is_there(void)
{
	struct timeval limit = {.tv_usec = 100000}, none = {0};
	char left[6] = "", right[10] = "";
	struct iovec iov[] = {{left, 5}, {right, 9}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	TRY(recvmsg(pair[1], &msg, MSG_PEEK | MSG_WAITALL));
	ct_note("peeked %s, %s", left, right);
	TRY(recv(pair[1], NULL, 12, MSG_PEEK | MSG_WAITALL | MSG_TRUNC));
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	ct_nonblock(pair[1], true);
	TRY(recvfrom(pair[1], left, 6, MSG_PEEK | MSG_WAITALL, NULL, NULL));
	TRY(recvfrom(pair[1], right, 11, MSG_PEEK | MSG_WAITALL, NULL, NULL));
	ct_nonblock(pair[1], false);
	ct_catch(SIGUSR1, SA_RESTART);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(recv(pair[1], NULL, 20, MSG_PEEK | MSG_WAITALL | MSG_TRUNC));
	ct_pester_end();
	TRY(recv(pair[1], right, 10, MSG_WAITALL));
}

static void count(void)
{
	static char big[BIG];

	CHECK(ct_write_full(pair[0], big, BIG) == BIG);
	await_bytes(BIG);
	TRY(recv(pair[1], big, BIG, MSG_PEEK) == BIG);
	TRY(recv(pair[1], NULL, BIG, MSG_PEEK | MSG_TRUNC) == BIG);
	TRY(recv(pair[1], NULL, BIG + 1, MSG_PEEK | MSG_TRUNC) == BIG);
	TRY(recv(pair[1], NULL, BIG, MSG_PEEK | MSG_TRUNC | MSG_WAITALL) == BIG);
	TRY(recv(pair[1], NULL, BIG, MSG_TRUNC | MSG_WAITALL) == BIG);
}

int main(void)
{
	pthread_t self = pthread_self(), thread;
	char buffer[16];

	ct_init();
	ct_pair(pair);
	wait_for_all();
	take_what_is_there();
	count();
	CHECK(write(pair[0], "abc", 3) == 3);
	ct_await(pair[1], POLLIN);
	thread = ct_thread(shut, &self);
	TRY(recv(pair[1], buffer, 10, MSG_PEEK | MSG_WAITALL));
	ct_join(thread);
	TRY(recv(pair[1], buffer, 10, MSG_PEEK | MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_WAITALL));
	TRY(recv(pair[1], buffer, 10, MSG_PEEK | MSG_WAITALL));
	return 0;
}
