/* SPDX-License-Identifier: MIT */
/* With SA_RESTART a signal does not show in a blocking connect: it ends by itself. */
#include "harness.h"

static void *appear(void *argument)
{
	(void)argument;
	usleep(300000);
	ct_net_add("203.0.113.1");
	return NULL;
}

int main(void)
{
	struct ct_addr server;
	pthread_t thread;
	int listener, fd;

	ct_init_own_net();
	ct_catch(SIGUSR1, SA_RESTART);
	server = ct_addr_of("0.0.0.0", 0);
	listener = ct_socket(AF_INET, 0);
	MUST(bind(listener, SA(&server)));
	MUST(listen(listener, 5));
	server = ct_addr_of("203.0.113.1", ct_port(listener));

	fd = ct_socket(AF_INET, 0);
	thread = ct_thread(appear, NULL);
	ct_pester(pthread_self(), SIGUSR1);
	TRY(connect(fd, SA(&server)));
	ct_pester_end();
	ct_join(thread);
	ct_prove(fd);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
