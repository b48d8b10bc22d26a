/* SPDX-License-Identifier: MIT */
/* A daemon that keeps one capability over setresuid, then gives up that too. */
#include "harness.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#define NOBODY 65534
#define BIT(cap) (UINT64_C(1) << (cap))

static void serve(int listener)
{
	int fd = ct_connect(AF_INET, ct_port(listener)), peer = ct_accept(listener);

	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	close(fd);
	close(peer);
}

int main(void)
{
	int listener;

	if (geteuid() != 0)
		ct_skip("not root");
	ct_init();
	listener = ct_listener(AF_INET, 5);
	TRY(setgroups(0, NULL));
	TRY(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0));
	TRY(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
	TRY(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	TRY(setresgid(NOBODY, NOBODY, NOBODY));
	TRY(setresuid(1, 1, 1));
	TRY(ct_capset(BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETUID)));
	/* A capability that is had again: glibc ends us if a thread of ours lacks it. */
	TRY(setresuid(NOBODY, NOBODY, NOBODY));
	ct_privileges("with two capabilities", listener, true);
	TRY(ct_capset(BIT(CAP_NET_BIND_SERVICE)));
	ct_privileges("with one", listener, true);
	serve(listener);
	TRY(ct_capset(0));
	ct_privileges("with none", listener, true);
	serve(listener);
	return 0;
}
