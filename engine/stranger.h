/* SPDX-License-Identifier: MIT */
/* Getting rid of what somebody unknown has sent, without waiting for anything. */
#ifndef QS_STRANGER_H
#define QS_STRANGER_H

/* Any thread. Closes a descriptor that came with a message, and may be anything. */
void qs_stranger_drop(int fd);

/* Ends both directions of an AF_UNIX connection and takes away what stands in its queue, so that closing it, which
 * is left to the caller, closes nothing of the peer's. */
void qs_stranger_empty(int fd);

#endif
