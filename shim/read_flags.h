/* SPDX-License-Identifier: MIT */
/* Reads with flags that AF_UNIX takes otherwise than TCP. */
#ifndef QS_READ_FLAGS_H
#define QS_READ_FLAGS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

static inline bool qs_read_is_not_for_unix(int flags)
{
	return (flags & (MSG_TRUNC | MSG_ERRQUEUE)) ||
	       (flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL);
}

/* A read of a mapped socket with such flags, as TCP does it. `len` is what the `n` pieces hold. */
ssize_t qs_read_flags(int fd, struct iovec *iov, size_t n, size_t len, int flags);

#endif
