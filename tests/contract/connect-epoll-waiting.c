/* SPDX-License-Identifier: MIT */
/* A thread sleeps in epoll_wait while another registers sockets, connects them, and they come up. */
#include "harness.h"

#define SOCKETS 10

static int epoll;

static void *wait_for_all(void *argument)
{
	struct epoll_event event;
	bool up[SOCKETS] = {false};
	int n = 0;

	(void)argument;
	while (n < SOCKETS) {
		CHECK(epoll_wait(epoll, &event, 1, CT_LONG_MS) == 1);
		if ((event.events & EPOLLOUT) == 0 || (event.events & EPOLLHUP) != 0 ||
		    up[event.data.u64])
			continue;
		up[event.data.u64] = true;
		n++;
	}
	return (void *)(intptr_t)n;
}

int main(void)
{
	struct ct_addr addr;
	int fds[SOCKETS], good = 0, error;
	socklen_t size = sizeof(error);
	pthread_t thread;
	void *n;

	ct_init();
	addr = ct_loopback(AF_INET, ct_port(ct_listener(AF_INET, 20)));
	epoll = MUST(epoll_create1(0));
	thread = ct_thread(wait_for_all, NULL);
	for (uint64_t i = 0; i < SOCKETS; i++) {
		struct epoll_event event = {.events = EPOLLOUT, .data.u64 = i};

		fds[i] = ct_socket(AF_INET, SOCK_NONBLOCK);
		if (i % 2 == 0)
			MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
		CHECK(connect(fds[i], SA(&addr)) == -1 && errno == EINPROGRESS);
		ct_prove(fds[i]);
		if (i % 2 != 0)
			MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event));
	}
	pthread_join(thread, &n);
	for (int i = 0; i < SOCKETS; i++)
		good += getsockopt(fds[i], SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
	ct_note("%d woke the waiter, %d are up", (int)(intptr_t)n, good);
	return 0;
}
