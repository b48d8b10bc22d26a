/* SPDX-License-Identifier: MIT */
/* Two programs with an engine each: the second can't listen where the first does. */
#include "harness.h"

static int try_to_listen(int port, int reuse)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, 0), result, error;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)));
	result = bind(fd, SA(&addr)) == 0 && listen(fd, 5) == 0 ? 0 : -1;
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static void server(int listener)
{
	int reuse = 1;

	MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)));
	ct_tell();
	for (int i = 0; i < 2; i++)
		TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
}

static void client(int port)
{
	ct_hear();
	TRY(ct_write_full(ct_connect(AF_INET, port), "hello", 5));
	TRY(try_to_listen(port, 0));
	TRY(try_to_listen(port, 1));
	TRY(ct_write_full(ct_connect(AF_INET, port), "hello", 5));
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
