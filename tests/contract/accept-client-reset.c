/* SPDX-License-Identifier: MIT */
/* The client resets before accept: accept still gives a socket, which says ECONNRESET. */
#include "harness.h"

static void server(int listener)
{
	int fd;

	ct_hear();
	ct_await(listener, POLLIN);
	fd = ct_accept(listener);
	TRY(read(fd, (char[8]){0}, 1));
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int port)
{
	struct linger none = {.l_onoff = 1};
	int fd = ct_connect(AF_INET, port);

	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	TRY(close(fd));
	ct_tell();
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
