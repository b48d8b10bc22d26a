/* SPDX-License-Identifier: MIT */
/* One attempt to connect by the engine: its beginning, and the wait for its end. */
#ifndef QS_ATTEMPT_H
#define QS_ATTEMPT_H

#include "target.h"

/*
 * A new attempt on a closed TCP socket, which the engine's takes the place of. `req` is zeroed but
 * for the names. Gives what connect() gives, with errno.
 */
int qs_attempt_start(int fd, const struct sockaddr *addr, socklen_t len,
		     const struct qs_target *target, struct qs_connect_req *req);
/* Blocks until the attempt that another connect() began has ended. Likewise. */
int qs_attempt_wait(int fd);

#endif
