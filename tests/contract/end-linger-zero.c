/* SPDX-License-Identifier: MIT */
/* SO_LINGER 0 and close: reset, seen by poll with all its events and by SO_ERROR once. */
#include "harness.h"

static void server(int fd)
{
	struct linger none = {.l_onoff = 1};

	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	TRY(close(fd));
}

static void client(int fd)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};
	char byte;

	TRY(ct_write_full(fd, "hello", 5));
	ct_events(fd, POLLHUP);
	ct_so_error(fd);
	ct_so_error(fd);
	TRY(read(fd, &byte, 1));
	TRY(write(fd, "x", 1));
	TRY(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(shutdown(fd, SHUT_RDWR));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
