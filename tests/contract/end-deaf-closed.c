/* SPDX-License-Identifier: MIT */
/* Shut down for reading, sent to, and closed: the peer learns of it as of any close. */
#include "harness.h"

static void server(int fd)
{
	MUST(shutdown(fd, SHUT_RD));
	ct_tell();
	ct_hear();
	close(fd);
}

static void client(int fd)
{
	int tries = 0;

	ct_hear();
	CHECK(send(fd, "ignored", 7, MSG_NOSIGNAL) == 7);
	MUST(poll(NULL, 0, 200));
	ct_tell();
	while (send(fd, "x", 1, MSG_NOSIGNAL) > 0 && ++tries < 1000)
		MUST(poll(NULL, 0, 10));
	ct_note("the end is told %d", tries < 1000);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
