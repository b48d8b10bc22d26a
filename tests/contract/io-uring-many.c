/* SPDX-License-Identifier: MIT */
/* Many rings by number at a time: each connects as the policy says. */
#include "harness.h"
#include "ring.h"

#define RINGS 40

int main(void)
{
	static struct ring rings[RINGS];
	struct ct_addr addr;
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	for (int i = 0; i < RINGS; i++)
		ring_open(&rings[i]);
	for (int i = 0; i < RINGS; i++) {
		int fd = ct_socket(AF_INET, 0);

		CHECK(ring_connect(&rings[i], fd, &addr) == 0);
		ct_prove(fd);
		close(ct_accept(listener));
		close(fd);
	}
	ct_note("connected by each");
	return 0;
}
