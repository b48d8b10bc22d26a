/* SPDX-License-Identifier: MIT */
/* Very much through one connection, content compared (CT_BYTES, default 256 MiB). */
#include "harness.h"

static int64_t total(void)
{
	const char *text = getenv("CT_BYTES");

	return text != NULL ? atoll(text) : 256 << 20;
}

static void server(int fd)
{
	alarm(0); /* a slow machine or CT_BYTES may need long; the runner still has a limit */
	ct_note("all read: %d", ct_recv_pattern(fd, total(), 7) == total());
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int fd)
{
	alarm(0);
	ct_note("all written: %d", ct_send_pattern(fd, total(), 7) == total());
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
