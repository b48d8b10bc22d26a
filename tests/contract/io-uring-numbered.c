/* SPDX-License-Identifier: MIT */
/* io_uring by number: a ring asks for a number (Linux 5.18), and does without where it gets none. */
#include "harness.h"
#include "ring.h"

int main(void)
{
	struct ring ring;
	struct io_uring_rsrc_update update = {.offset = ~0u};
	long rc;

	ct_init();
	ring_open(&ring);
	update.data = (uint64_t)ring.fd;
	rc = syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_RING_FDS, &update, 1);
	if (rc < 0 && getenv("QS_EXPECT_MAPPED") == NULL)
		ct_skip("this kernel registers no rings");
	ct_note("registered as it must %d",
		getenv("QS_EXPECT_MAPPED") != NULL ? rc == -1 && errno == EINVAL : rc == 1);
	if (rc == 1) {
		ring.fd = (int)update.offset;
		ring.enter = RING_ENTER_NUMBER;
	}
	ring_play(&ring);
	return 0;
}
