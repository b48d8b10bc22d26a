/* SPDX-License-Identifier: MIT */
/* A descriptor as the kernel knows it: its mark, its state, and what takes its place. */
#ifndef QS_SOCK_H
#define QS_SOCK_H

#include "../engine/control.h"

#define QS_TOLD_OPEN                                                                               \
	106 /* EISCONN: connect() has returned 0; in FAILED: the socket is unconnected again */
#define QS_TOLD_END 108 /* ESHUTDOWN: in OPEN: the errno of the end has been told */

/* All of these are async-signal-safe and leave errno alone. */

/* False if the descriptor is not mapped (or no socket). One system call. */
bool qs_sock_mark(int fd, struct qs_mark *out);
void qs_sock_set_mark(int fd, const struct qs_mark *mark);

/* tcpi_state of a TCP (or MPTCP) socket; -EOPNOTSUPP and the like for anything else. */
int qs_sock_tcp_state(int fd);

/* True if an address from getsockname() says more than "any address, any port". */
bool qs_sock_is_bound(const struct qs_addr *addr);

/* Puts `fresh` over the app's `fd`, epoll registrations included, and closes `fresh`. 0 or -errno. */
int qs_sock_replace(int fd, int fresh);
/* Replaces a mapped descriptor by a new TCP socket of its family. 0 or -errno. */
int qs_sock_renew(int fd, const struct qs_mark *mark);

#endif
