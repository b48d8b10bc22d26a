/* SPDX-License-Identifier: MIT */
/* io_uring: requests that connect, listen or accept, seen before the kernel sees them. */
#ifndef QS_URING_H
#define QS_URING_H

#include "../engine/control.h"

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>

/* A ring was set up: it counts, and from now on accepted descriptors may lack a mark (sock.c). */
void qs_uring_seen(void);
/* For quicshim-status. */
void qs_uring_count(enum qs_ring_kind kind);

/*
 * Looks at a request that is about to be submitted. What would go past the shim is done here, and the request becomes
 * one that only tells the result: it may wait for a handshake. Async-signal-safe; leaves errno alone.
 */
void qs_uring_judge(struct io_uring_sqe *sqe);

/* io_uring_setup(2) made by number: what is done before it, and after it gave `fd`, which is below 0 if it failed. The
 * flags in `params` are other ones meanwhile. False: there are too many rings, it must be closed, and the call fail with
 * ENOMEM. */
struct qs_uring_setup {
	uint32_t taken; /* flags */
	uint64_t base, sqes; /* the app's own memory, or 0 */
};
void qs_uring_before_setup(struct qs_uring_setup *setup, struct io_uring_params *params);
bool qs_uring_after_setup(const struct qs_uring_setup *setup, int fd,
			  struct io_uring_params *params);
/* Before io_uring_register(2). False: it must fail with EINVAL. */
bool qs_uring_may_register(unsigned op, const void *argument, unsigned n);
/* Judges what io_uring_enter(2) is about to submit. Returns how many requests the kernel must be asked to submit, of
 * which the app shall hear that they are `to_submit`. */
unsigned qs_uring_before_enter(int fd, unsigned to_submit, unsigned flags);

#endif
