/* SPDX-License-Identifier: MIT */
/* io_uring: listen (Linux 6.11) on a ring. */
#include "harness.h"
#include "ring.h"

#define OP_LISTEN 57 /* IORING_OP_LISTEN */

int main(void)
{
	struct ring ring;
	int listener, fd, rc;

	ct_init();
	ring_open(&ring);
	listener = ct_bound(AF_INET);
	rc = ring_do(&ring, OP_LISTEN, listener, NULL, 5);
	if (rc == -EINVAL)
		ct_skip("this kernel's io_uring can't listen");
	ct_note("listen: %d", rc);
	ct_prove(listener);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
