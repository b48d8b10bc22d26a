/* SPDX-License-Identifier: MIT */
/* io_uring by number with a thread of the kernel's that polls: no request goes past the policy. */
#include "harness.h"
#include "ring.h"

int main(void)
{
	struct ring ring;

	ct_init();
	ring_open_with(&ring, IORING_SETUP_SQPOLL);
	ring_play(&ring);
	/* One that has been idle for longer than sq_thread_idle. */
	usleep(200000);
	ring_play(&ring);
	close(ring.fd);
	ring_open_with(&ring, IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF);
	ring_play(&ring);
	return 0;
}
