/* SPDX-License-Identifier: MIT */
/* A descriptor as the kernel knows it: its mark, its state, and the options that move from socket to socket. */
#ifndef QS_SOCK_H
#define QS_SOCK_H

#include "../engine/control.h"

#define QS_TOLD_OPEN 106  /* EISCONN: connect() has returned 0; in FAILED: the socket is unconnected again */
#define QS_TOLD_END 108	  /* ESHUTDOWN: in OPEN: the errno of the end has been told */

/* All of these are async-signal-safe and leave errno alone. */

/* False if the descriptor is not mapped (or no socket). One system call. */
bool qs_sock_mark(int fd, struct qs_mark *out);
void qs_sock_set_mark(int fd, const struct qs_mark *mark);

/* tcpi_state of a TCP (or MPTCP) socket; -EOPNOTSUPP and the like for anything else. */
int qs_sock_tcp_state(int fd);

/* Remembers that this process sets an option: only such are copied later. */
void qs_sock_note_option(int level, int name);

/*
 * Copies what the kernel keeps for any socket from one to another: the options noted so far, and SIGIO.
 * SO_SNDBUF is not copied unless sndbuf is true.
 */
void qs_sock_copy(int from, int to, bool sndbuf);
/* Reads what AF_UNIX does not keep from a TCP socket, and sets such on one. */
void qs_sock_collect(int fd, struct qs_options *out);
void qs_sock_spread(int fd, const struct qs_options *options, bool v6);
/* SO_SNDBUF that the app has set, else 0. */
uint32_t qs_sock_sndbuf(int fd);

/* SO_MARK and SO_BINDTODEVICE if this process ever set such. */
void qs_sock_route(int fd, uint32_t *mark, char *device, socklen_t device_len);
/* True if an address from getsockname() says more than "any address, any port". */
bool qs_sock_is_bound(const struct qs_addr *addr);

/* The TCP option that enum qs_option stands for. False if it is no integer option of TCP, IP or IPv6. */
bool qs_sock_option_name(enum qs_option option, int *level, int *name);
/* The reverse; -1 = none. */
int qs_sock_option_index(int level, int name);

/* Puts `fresh` over the app's `fd`, epoll registrations included, and closes `fresh`. 0 or -errno. */
int qs_sock_replace(int fd, int fresh);
/* Replaces a mapped descriptor by a new TCP socket of its family. 0 or -errno. */
int qs_sock_renew(int fd, const struct qs_mark *mark);

#endif
