/* SPDX-License-Identifier: MIT */
/* Landlock's rules for TCP, which the kernel would ask at a connect() of the app's own. */
#ifndef QS_LANDLOCK_H
#define QS_LANDLOCK_H

#include <sys/socket.h>

/* A thread of this process has restricted itself. */
void qs_landlock_note(void);
/*
 * 0 if the calling thread may connect a TCP socket to this address, or nobody has restricted himself; else -EACCES, or
 * the -errno of the question. Async-signal-safe; leaves errno alone.
 */
int qs_landlock_ask(const struct sockaddr *addr, socklen_t len);

#endif
