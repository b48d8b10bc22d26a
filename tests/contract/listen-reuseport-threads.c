/* SPDX-License-Identifier: MIT */
/* Two SO_REUSEPORT listeners of one process, a thread each: together they serve everybody. */
#include "harness.h"

#define CLIENTS 24

static int listen_at(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, 0), on = 1;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	MUST(bind(fd, SA(&addr)));
	MUST(listen(fd, 64));
	ct_prove(fd);
	return fd;
}

static void *serve(void *argument)
{
	int listener = *(int *)argument;
	char word[5];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		ct_prove(fd);
		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		close(fd);
	}
}

int main(void)
{
	int listeners[2], right = 0;
	pthread_t threads[2];
	char word[5];

	ct_init();
	listeners[0] = listen_at(0);
	listeners[1] = listen_at(ct_port(listeners[0]));
	for (int i = 0; i < 2; i++)
		threads[i] = ct_thread(serve, &listeners[i]);
	for (int i = 0; i < CLIENTS; i++) {
		int fd = ct_connect(AF_INET, ct_port(listeners[0]));

		CHECK(ct_write_full(fd, "hello", 5) == 5);
		right += ct_read_full(fd, word, 5) == 5 && read(fd, word, 1) == 0;
		close(fd);
	}
	ct_note("%d served", right);
	for (int i = 0; i < 2; i++) {
		MUST(shutdown(listeners[i], SHUT_RDWR));
		ct_join(threads[i]);
	}
	return 0;
}
