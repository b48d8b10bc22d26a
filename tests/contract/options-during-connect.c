/* SPDX-License-Identifier: MIT */
/* TCP's options are answered and set while another thread connects. */
#include "harness.h"

#include <stdatomic.h>

#define ROUNDS 300

static _Atomic int fd = -1;
static _Atomic bool ended;

static void *ask(void *none)
{
	(void)none;
	while (!ended) {
		struct tcp_info info;
		socklen_t size = sizeof(info);
		int now = fd, on = 1;

		if (now < 0)
			continue;
		MUST(getsockopt(now, IPPROTO_TCP, TCP_INFO, &info, &size));
		MUST(setsockopt(now, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	}
	return NULL;
}

int main(void)
{
	struct ct_addr addr;
	pthread_t thread;
	int listener, sockets[ROUNDS], peers[ROUNDS];

	ct_init();
	listener = ct_listener(AF_INET, ROUNDS);
	addr = ct_loopback(AF_INET, ct_port(listener));
	thread = ct_thread(ask, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		sockets[i] = ct_socket(AF_INET, 0);
		fd = sockets[i];
		MUST(connect(sockets[i], SA(&addr)));
		peers[i] = ct_accept(listener);
	}
	ended = true;
	ct_join(thread);
	ct_prove(sockets[0]);
	for (int i = 0; i < ROUNDS; i++) {
		MUST(close(sockets[i]));
		MUST(close(peers[i]));
	}
	ct_note("asked during %d connects", ROUNDS);
	return 0;
}
