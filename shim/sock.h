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
/* Connections will be accepted from this listener unseen (by io_uring): their marks are made when somebody asks. */
void qs_sock_expect(const struct qs_mark *listener);
void qs_sock_set_mark(int fd, const struct qs_mark *mark);
/* An errno has been told: poll() says POLLERR no longer. */
void qs_sock_clear_error(int fd);

/*
 * A hint: true if a descriptor of this number was seen to be mapped in this process. It may be wrong either way: a
 * copy, or one that came by exec or from another process, is not known until a call has looked at it, and the number
 * of one that was closed may be another file's by now.
 */
bool qs_sock_was_mapped(int fd);
void qs_sock_forget(int fd);

/* tcpi_state of a TCP (or MPTCP) socket; -EOPNOTSUPP and the like for anything else. */
int qs_sock_tcp_state(int fd);

/* An error of that which says that the descriptor is no TCP socket; any other (of a seccomp filter, say) leaves it open. */
bool qs_sock_is_no_tcp(int error);

/* True if an address from getsockname() says more than "any address, any port". */
bool qs_sock_is_bound(const struct qs_addr *addr);

/* bind() succeeded, and the kernel chose the port: TCP gives such a one up with the connection. A hint, as above. */
void qs_sock_note_bind(int fd, bool chosen);

/* Of the socket behind a descriptor, as long as the machine runs; 0 if the kernel does not tell. */
uint64_t qs_sock_cookie(int fd);

/*
 * Puts `fresh` over the app's `fd`, epoll registrations included, and closes `fresh`. `cookie` is that of the socket
 * which is to go: another thread may have closed it, and the number be somebody else's. Then nothing is replaced,
 * and the errno is the one of that descriptor, or ECONNABORTED if it is another socket. 0 or -errno.
 */
int qs_sock_replace(int fd, int fresh, uint64_t cookie);
/* Replaces a mapped descriptor by a new TCP socket of its family, bound as it was. 0 or -errno. */
int qs_sock_renew(int fd, const struct qs_mark *mark);
/* The same if connect() failed and said so: TCP then takes bind() and listen(). False if it is not so. */
bool qs_sock_unconnect(int fd);

#endif
