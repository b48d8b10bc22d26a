/* SPDX-License-Identifier: MIT */
/* An upload that nobody reads: the server answers much, ends its data, and closes. The client, blocked in write(), with
 * the answer unread, gets an error, and the answer is still there. */
#include "harness.h"

#define ANSWER (1100 * 1000)

static void server(int fd)
{
	CHECK(ct_send_pattern(fd, ANSWER, 1) == ANSWER);
	MUST(shutdown(fd, SHUT_WR));
	ct_hear();
	close(fd);
}

static void *upload(void *argument)
{
	static char octets[65536];
	int fd = (int)(intptr_t)argument;

	while (send(fd, octets, sizeof(octets), MSG_NOSIGNAL) > 0)
		;
	CHECK(errno == EPIPE || errno == ECONNRESET);
	ct_note("the upload fails");
	return NULL;
}

static void client(int fd)
{
	pthread_t thread = ct_thread(upload, (void *)(intptr_t)fd);
	char byte;

	ct_await_blocked(thread);
	MUST(poll(NULL, 0, 500)); /* for good, with all buffers on the way full */
	ct_tell();
	ct_join(thread);
	TRY(read(fd, &byte, 1));
	TRY(send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
