/* SPDX-License-Identifier: MIT */
/* The checked twins that -D_FORTIFY_SOURCE makes of read, recv, recvfrom and poll. */
#include "harness.h"

/* Sizes that the compiler can't see force the twins with a check. */
static volatile size_t five = 5;
static volatile nfds_t one = 1;

static void server(int fd)
{
	struct pollfd p[1] = {{.fd = fd, .events = POLLIN}};
	struct timespec limit = {.tv_sec = CT_LONG};
	char buffer[8];

	TRY(poll(p, one, CT_LONG_MS));
	TRY(read(fd, buffer, five));
	TRY(ppoll(p, one, &limit, NULL));
	TRY(recv(fd, buffer, five, 0));
	TRY(recvfrom(fd, buffer, five, MSG_WAITALL, NULL, NULL));
	/* The peer resets: the twins must say so too. */
	ct_tell();
	TRY(poll(p, one, CT_LONG_MS));
	TRY(read(fd, buffer, five));
	TRY(recv(fd, buffer, five, 0));
}

static void client(int fd)
{
	struct linger none = {.l_onoff = 1};

	CHECK(ct_write_full(fd, "abcdefghijklmno", 15) == 15);
	ct_hear();
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
