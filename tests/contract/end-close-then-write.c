/* SPDX-License-Identifier: MIT */
/* The peer closed in order: a write still goes, is answered by a reset, and the next gets EPIPE. */
#include "harness.h"

static void write_until_error(int fd)
{
	int error = 0;

	for (int i = 0; i < CT_LONG_MS && error == 0; i++) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			error = errno;
		else
			usleep(1000);
	}
	ct_note("error %s", strerrorname_np(error));
}

static void server(int fd)
{
	TRY(close(fd));
}

static void client(int fd)
{
	ct_events(fd, POLLIN | POLLRDHUP);
	TRY(read(fd, (char[8]){0}, 1));
	TRY(send(fd, "x", 1, MSG_NOSIGNAL));
	write_until_error(fd);
	TRY(send(fd, "x", 1, MSG_NOSIGNAL));
	TRY(read(fd, (char[8]){0}, 1));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
