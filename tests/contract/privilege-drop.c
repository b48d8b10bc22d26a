/* SPDX-License-Identifier: MIT */
/* A daemon of root: listens, becomes another user for good, and goes on serving. */
#include "harness.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#define NOBODY 65534

static void serve(int listener)
{
	struct ct_addr server = ct_local(listener);
	int fd = ct_connect(AF_INET, ct_port(listener)), peer = ct_accept(listener);

	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	TRY(ct_write_full(peer, "again", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	CHECK(ct_addr_port(&server) == ct_port(listener));
	close(fd);
	TRY(read(peer, (char[8]){0}, 1));
	close(peer);
}

int main(void)
{
	int listener;

	if (geteuid() != 0)
		ct_skip("not root");
	ct_init();
	listener = ct_listener(AF_INET, 5);
	serve(listener);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (cap != CAP_NET_BIND_SERVICE && cap != CAP_KILL)
			MUST(prctl(PR_CAPBSET_DROP, cap));
	TRY(setgroups(1, (gid_t[]){4242}));
	TRY(setresgid(NOBODY, NOBODY, NOBODY));
	TRY(setresuid(NOBODY, NOBODY, NOBODY));
	TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ct_privileges("after the drop", listener, true);
	TRY(setuid(0));
	serve(listener);
	close(listener);
	/* Another one, by the engine as it is now. */
	listener = ct_listener(AF_INET, 5);
	serve(listener);
	ct_privileges("at the end", listener, true);
	return 0;
}
