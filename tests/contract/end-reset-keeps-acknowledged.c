/* SPDX-License-Identifier: MIT */
/* All that was acknowledged before a reset can be read, however much it is; a write tells the reset meanwhile. */
#include "harness.h"

#include <linux/sockios.h>

#define SEED 9

/* The start of the stream in FD, to its end. */
static int64_t read_all(int fd, int *error)
{
	static char got[65536], expected[65536];
	int64_t total = 0;
	ssize_t n;

	for (;;) {
		size_t want = sizeof(got) - (size_t)total % 8;

		n = read(fd, got, want);
		if (n <= 0)
			break;
		ct_pattern(expected, sizeof(expected), (uint64_t)total & ~UINT64_C(7), SEED);
		CHECK(memcmp(got, expected + total % 8, (size_t)n) == 0);
		total += n;
	}
	*error = n < 0 ? errno : 0;
	return total;
}

/* `told`: by a write, before it is read. */
static void reset_with_much_unread(bool told)
{
	struct linger none = {.l_onoff = 1};
	int pair[2], unacknowledged, error;
	int64_t sent, acknowledged, got;

	ct_pair(pair);
	ct_nonblock(pair[1], true);
	sent = ct_fill(pair[1], SEED);
	MUST(ioctl(pair[1], SIOCOUTQ, &unacknowledged));
	acknowledged = sent - unacknowledged;
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	MUST(close(pair[1]));
	if (told) {
		while (send(pair[0], "x", 1, MSG_NOSIGNAL) > 0)
			usleep(1000);
		ct_note("write: %s", strerrorname_np(errno));
		TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));
	}
	got = read_all(pair[0], &error);
	if (got < acknowledged)
		ct_note("%lld octets of %lld came", (long long)got, (long long)acknowledged);
	ct_note("read: %s", error != 0 ? strerrorname_np(error) : "end");
	ct_so_error(pair[0]);
	TRY(read(pair[0], (char[1]){0}, 1));
	MUST(close(pair[0]));
}

int main(void)
{
	ct_init();
	reset_with_much_unread(false);
	reset_with_much_unread(true);
	return 0;
}
