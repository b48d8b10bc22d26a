/* SPDX-License-Identifier: MIT */
/* io_uring by number in the program's own memory (Linux 6.5), with a descriptor and without one. */
#include "harness.h"
#include "ring.h"

int main(void)
{
	struct ring ring;

	ct_init();
	ring_open_with(&ring, RING_NO_MMAP);
	ring_play(&ring);
	close(ring.fd);
	ring_open_with(&ring, RING_NO_MMAP | RING_NUMBER_ONLY);
	ring_play(&ring);
	ring_open_with(&ring, RING_NO_MMAP | RING_NUMBER_ONLY | IORING_SETUP_SQPOLL);
	ring_play(&ring);
	return 0;
}
