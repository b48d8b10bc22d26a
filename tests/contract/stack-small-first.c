/* SPDX-License-Identifier: MIT */
/* The first mapped call of a program, which starts the engine, is made by a thread with the smallest stack that there is. */
#include "harness.h"

#include <limits.h>

struct call {
	int fd, rc, error;
	bool listens;
	struct ct_addr addr;
};

static void *run(void *argument)
{
	struct call *call = argument;

	call->rc = call->listens ? listen(call->fd, 5) : connect(call->fd, SA(&call->addr));
	call->error = call->rc < 0 ? errno : 0;
	return NULL;
}

static void on_small_stack(struct call *call)
{
	pthread_attr_t smallest;
	pthread_t thread;

	pthread_attr_init(&smallest);
	CHECK(pthread_attr_setstacksize(&smallest, (size_t)PTHREAD_STACK_MIN) == 0);
	CHECK(pthread_create(&thread, &smallest, run, call) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
	struct call first = {.addr = ct_loopback(AF_INET, ct_closed_port())};
	struct call second = {.listens = true};
	struct call third;

	ct_init();
	first.fd = ct_socket(AF_INET, 0);
	on_small_stack(&first);
	ct_note("connect %d %s", first.rc, strerrorname_np(first.error));
	second.fd = ct_bound(AF_INET);
	on_small_stack(&second);
	ct_note("listen %d", second.rc);
	third = (struct call){.fd = ct_socket(AF_INET, 0), .addr = ct_local(second.fd)};
	on_small_stack(&third);
	ct_note("connect %d", third.rc);
	ct_prove(second.fd);
	ct_prove(third.fd);
	return 0;
}
