/* SPDX-License-Identifier: MIT */
/* accept tells the client's address: whole, cut short with the true length, or not asked for. */
#include "harness.h"

static struct ct_addr fresh_client(int listener, int *fd)
{
	*fd = ct_connect(AF_INET, ct_port(listener));
	return ct_local(*fd);
}

int main(void)
{
	struct ct_addr mine, seen;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	mine = fresh_client(listener, &fd);
	ct_name_port(ct_addr_port(&mine), "CLIENT");
	seen = (struct ct_addr){.len = sizeof(seen.ss)};
	peer = MUST(accept(listener, (struct sockaddr *)&seen.ss, &seen.len));
	ct_prove(peer);
	ct_note("accepted %s, length %u", ct_addr_text(&seen), (unsigned)seen.len);
	seen = ct_remote(peer);
	ct_note("getpeername %s", ct_addr_text(&seen));
	close(fd);
	close(peer);

	mine = fresh_client(listener, &fd);
	memset(&seen, 0x55, sizeof(seen));
	seen.len = 4;
	peer = MUST(accept(listener, (struct sockaddr *)&seen.ss, &seen.len));
	ct_note("cut: length %u, family %d, port %d, rest untouched %d", (unsigned)seen.len,
		seen.ss.ss_family, ct_addr_port(&seen) == ct_addr_port(&mine),
		((unsigned char *)&seen.ss)[4] == 0x55);
	close(fd);
	close(peer);

	mine = fresh_client(listener, &fd);
	TRY(accept(listener, NULL, NULL) >= 0);
	return 0;
}
