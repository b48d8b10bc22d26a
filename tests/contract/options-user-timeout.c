/* SPDX-License-Identifier: MIT */
/* TCP_USER_TIMEOUT: what is not acknowledged for so long ends the connection, be it that the peer has no room. What is
 * acknowledged in time, and silence, end nothing. */
#include "harness.h"

#define USER_TIMEOUT_MS 500
#define LONGER_MS 1500

static void set_timeout(int fd, int ms)
{
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms)));
}

/* Blocked in the end, as nobody reads. */
static ssize_t send_all(int fd)
{
	static char octets[65536];
	ssize_t n;

	do {
		n = send(fd, octets, sizeof(octets), MSG_NOSIGNAL);
	} while (n > 0);
	return n;
}

int main(void)
{
	int pair[2], quiet[2];
	char byte;

	ct_init();
	ct_pair(quiet);
	set_timeout(quiet[0], USER_TIMEOUT_MS);
	CHECK(write(quiet[0], "a", 1) == 1);
	CHECK(read(quiet[1], &byte, 1) == 1);

	ct_pair(pair);
	set_timeout(pair[0], USER_TIMEOUT_MS);
	TRY(send_all(pair[0]));
	ct_so_error(pair[0]);
	TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));

	MUST(poll(NULL, 0, LONGER_MS - USER_TIMEOUT_MS));
	CHECK(write(quiet[0], "b", 1) == 1);
	TRY(read(quiet[1], &byte, 1));
	return 0;
}
