/* SPDX-License-Identifier: MIT */
/* A server closes and binds its port again at once with SO_REUSEADDR, while its connections live. */
#include "harness.h"

static int listen_at(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, 0), on = 1;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	MUST(bind(fd, SA(&addr)));
	MUST(listen(fd, 5));
	ct_prove(fd);
	return fd;
}

int main(void)
{
	int listener, port, fds[3], peers[3];
	char word[8];

	ct_init();
	listener = listen_at(0);
	port = ct_port(listener);
	for (int i = 0; i < 3; i++) {
		fds[i] = ct_connect(AF_INET, port);
		peers[i] = ct_accept(listener);
		TRY(close(listener));
		listener = listen_at(port);
	}
	for (int i = 0; i < 3; i++) {
		TRY(ct_write_full(fds[i], "hello", 5));
		TRY(ct_read_full(peers[i], word, 5));
		TRY(ct_write_full(peers[i], "world", 5));
		TRY(ct_read_full(fds[i], word, 5));
	}
	return 0;
}
