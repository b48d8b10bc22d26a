/* SPDX-License-Identifier: MIT */
/* chroot to an empty folder before the first connect and listen. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr = ct_loopback(AF_INET, 0);
	int listener, fd, peer, root;

	if (geteuid() != 0)
		ct_skip("not root");
	ct_init();
	root = MUST(open("/", O_RDONLY | O_DIRECTORY));
	MUST(mkdir("empty", 0755));
	TRY(chroot("empty"));
	TRY(chdir("/"));
	listener = ct_socket(AF_INET, 0);
	MUST(bind(listener, SA(&addr)));
	TRY(listen(listener, 5));
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&addr)));
	peer = accept(listener, NULL, NULL);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	/* Out again, as only root can, to where the proof is written. */
	MUST(fchdir(root));
	MUST(chroot("."));
	ct_prove(fd);
	ct_prove(peer);
	return 0;
}
