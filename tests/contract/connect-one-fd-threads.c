/* SPDX-License-Identifier: MIT */
/* Two threads connect one socket: the second waits with the first and is told EALREADY. */
#include "harness.h"

static struct ct_addr nobody, server;
static int fd;

static void *second(void *argument)
{
	struct tcp_info info = {0};
	socklen_t size;

	ct_as("second");
	/* When the first is at it, or done. */
	while (info.tcpi_state != TCP_SYN_SENT && info.tcpi_state != TCP_ESTABLISHED) {
		size = sizeof(info);
		MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
		usleep(1000);
	}
	TRY(connect(fd, argument, nobody.len));
	return NULL;
}

int main(void)
{
	struct timeval limit = {.tv_usec = 500000};
	pthread_t thread;
	int listener;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	fd = ct_socket(AF_INET, 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	thread = ct_thread(second, &nobody.ss);
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	ct_join(thread);
	close(fd);

	/* And where the first is done already. */
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&server)));
	thread = ct_thread(second, &server.ss);
	ct_join(thread);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
