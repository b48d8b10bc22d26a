/* SPDX-License-Identifier: MIT */
/* What one end calls its own address is what the other calls its peer's, on two engines. */
#include "harness.h"

static void server(int fd)
{
	struct ct_addr local = ct_local(fd), remote = ct_remote(fd);

	CHECK(ct_write_full(fd, &local, sizeof(local)) == sizeof(local));
	CHECK(ct_write_full(fd, &remote, sizeof(remote)) == sizeof(remote));
}

static void client(int fd)
{
	struct ct_addr local = ct_local(fd), remote = ct_remote(fd), theirs, mine;

	CHECK(ct_read_full(fd, &theirs, sizeof(theirs)) == sizeof(theirs));
	CHECK(ct_read_full(fd, &mine, sizeof(mine)) == sizeof(mine));
	ct_name_port(ct_addr_port(&local), "CLIENT");
	ct_note("I say local %s remote %s", ct_addr_text(&local), ct_addr_text(&remote));
	ct_note("it says local %s remote %s", ct_addr_text(&theirs), ct_addr_text(&mine));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
