/* SPDX-License-Identifier: MIT */
/* TCP_INFO: state in each phase, a length that fits, and figures that are there. */
#include "harness.h"

static void show(int fd, const char *name)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	ct_note("%s: state %d, length enough %d", name, info.tcpi_state, size >= 104);
}

int main(void)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	int pair[2];

	ct_init();
	show(ct_socket(AF_INET, 0), "fresh");
	show(ct_listener(AF_INET, 5), "listening");
	ct_pair(pair);
	CHECK(ct_write_full(pair[0], "hello", 5) == 5);
	CHECK(ct_read_full(pair[1], (char[8]){0}, 5) == 5);
	CHECK(ct_write_full(pair[1], "hello", 5) == 5);
	CHECK(ct_read_full(pair[0], (char[8]){0}, 5) == 5);
	show(pair[0], "client");
	show(pair[1], "server");
	MUST(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &info, &size));
	ct_note("rtt %d cwnd %d mss %d", info.tcpi_rtt > 0, info.tcpi_snd_cwnd > 0,
		info.tcpi_snd_mss > 0);
	size = 8;
	TRY(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &info, &size));
	ct_note("short: length %u, state %d", (unsigned)size, info.tcpi_state);
	return 0;
}
