/* SPDX-License-Identifier: MIT */
/* More connections than the backlog holds harm nobody: when there is room new ones get in. */
#include "harness.h"

#define EXTRA 6

int main(void)
{
	struct ct_addr addr;
	int listener, first, fd, peer, extra[EXTRA], word = 0;

	ct_init();
	listener = ct_listener(AF_INET, 1);
	addr = ct_local(listener);
	first = ct_connect(AF_INET, ct_port(listener));
	CHECK(ct_write_full(first, "first", 5) == 5);
	/* What becomes of these is the system's affair: held back, refused or queued. What our engine
	 * does with them is seen by unit/test_engine_deliver.c. */
	for (int i = 0; i < EXTRA; i++) {
		extra[i] = ct_socket(AF_INET, SOCK_NONBLOCK);
		connect(extra[i], SA(&addr));
	}
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	for (int i = 0; i < EXTRA; i++)
		close(extra[i]);
	ct_nonblock(listener, true);
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		close(fd);
	ct_nonblock(listener, false);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&addr)));
	ct_prove(fd);
	word = 4711;
	TRY(ct_write_full(fd, &word, sizeof(word)));
	/* Those that the engine still held back come first, and have nothing to say. */
	do {
		word = 0;
		peer = ct_accept(listener);
	} while (ct_read_full(peer, &word, sizeof(word)) != sizeof(word));
	ct_note("word %d", word);
	return 0;
}
