/* SPDX-License-Identifier: MIT */
/* Two threads wait in connect() on one socket, and it fails: they get the errno or ECONNABORTED (EPIPE
 * since Linux 6.6), and none success. */
#include "harness.h"

static int fd;
static struct ct_addr nobody;
static int results[2];

static void *wait_for_it(void *result)
{
	*(int *)result = connect(fd, SA(&nobody)) < 0 ? errno : 0;
	return NULL;
}

/* One has begun, and waits. */
static void await_begun(pthread_t thread)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	while (info.tcpi_state != TCP_SYN_SENT) {
		usleep(1000);
		MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	}
	ct_await_blocked(thread);
}

int main(void)
{
	int tries = 1;
	pthread_t thread;

	ct_init_own_net();
	/* run-one's policy limits the handshake with this half of the network to a second. */
	nobody = ct_addr_of("203.0.113.200", 80);
	fd = ct_socket(AF_INET, 0);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries)));
	thread = ct_thread(wait_for_it, &results[0]);
	await_begun(thread);
	wait_for_it(&results[1]);
	ct_join(thread);
	ct_prove(fd);
	for (int i = 0; i < 2; i++)
		CHECK(results[i] == ETIMEDOUT || results[i] == ECONNABORTED || results[i] == EPIPE);
	/* Which of the two is told the errno is a race, and mapped both may be: two looks at one mark. */
	ct_note("both fail");
	TRY(close(fd));
	return 0;
}
