/* SPDX-License-Identifier: MIT */
/* io_uring: requests that connect, listen or accept, seen before the kernel sees them. */
#ifndef QS_URING_H
#define QS_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>

/* A ring was set up: it counts, and from now on accepted descriptors may lack a mark (sock.c). */
void qs_uring_seen(void);

/*
 * Looks at a request that is about to be submitted. What would go past the shim is done here, and the request becomes
 * one that only tells the result: it may wait for a handshake. Async-signal-safe; leaves errno alone.
 */
void qs_uring_judge(struct io_uring_sqe *sqe);

/* io_uring_setup(2) and io_uring_enter(2) made by number: the ring's memory is looked into. */
void qs_uring_after_setup(int fd, const struct io_uring_params *params);
void qs_uring_before_enter(int fd, unsigned to_submit, unsigned flags);

#endif
