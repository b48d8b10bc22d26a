/* SPDX-License-Identifier: MIT */
/* close_range and loops over all descriptors close ours and break nothing: connecting goes on. */
#include "harness.h"

static int port;

static void visit(const char *name)
{
	int fd = ct_connect(AF_INET, port);
	char word[5];

	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_note("%s: %d", name, (int)ct_read_full(fd, word, 5));
}

static void server(int listener)
{
	char word[5];

	for (int i = 0; i < 4; i++) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, 5) == 5 && ct_write_full(fd, word, 5) == 5);
		CHECK(read(fd, word, 1) == 0);
		close(fd);
	}
	ct_note("four ends");
}

static void client(int port_given)
{
	port = port_given;
	visit("first");
	MUST(close_range(3, ~0u, 0));
	visit("after close_range");
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	visit("after a loop");
	closefrom(3);
	visit("after closefrom");
	closefrom(3);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
