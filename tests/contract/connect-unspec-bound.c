/* SPDX-License-Identifier: MIT */
/* A bound address survives a dissolved connection and serves for the next. */
#include "harness.h"

int main(void)
{
	struct ct_addr none = {.ss.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr_in)};
	struct ct_addr server, mine;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	mine = ct_addr_of("127.0.0.5", 0);
	MUST(bind(fd, SA(&mine)));
	for (int i = 0; i < 2; i++) {
		TRY(connect(fd, SA(&server)));
		ct_prove(fd);
		peer = ct_accept(listener);
		mine = ct_remote(peer);
		ct_addr_text(&mine);
		ct_note("from 127.0.0.5: %d",
			((struct sockaddr_in *)&mine.ss)->sin_addr.s_addr == htonl(0x7f000005));
		TRY(connect(fd, SA(&none)));
		TRY(read(peer, (char[8]){0}, 1));
		close(peer);
	}
	return 0;
}
