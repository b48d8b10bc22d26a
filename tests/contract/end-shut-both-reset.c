/* SPDX-License-Identifier: MIT */
/* Both directions shut by one end, with data still to come: the other end is reset. */
#include "harness.h"

static void server(int fd)
{
	int error = 0;

	TRY(read(fd, (char[8]){0}, 1));
	ct_hear();
	for (int i = 0; i < CT_LONG_MS && error == 0; i++) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			error = errno;
		else
			usleep(1000);
	}
	ct_note("error %s", strerrorname_np(error));
}

static void client(int fd)
{
	TRY(shutdown(fd, SHUT_RDWR));
	TRY(read(fd, (char[8]){0}, 1));
	TRY(send(fd, "x", 1, MSG_NOSIGNAL));
	ct_tell(); /* what comes now resets this end too */
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
