/* SPDX-License-Identifier: MIT */
/* Socket options of mapped descriptors, by level. */
#ifndef QS_SOCKOPT_H
#define QS_SOCKOPT_H

#include "../engine/control.h"

/* Each of them is what getsockopt() or setsockopt() does: 0, or -1 with errno. */

/* IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6, everything else that is not SOL_SOCKET, and SO_REUSEPORT. */
int qs_sockopt_stored_get(int fd, const struct qs_mark *mark, int level, int name, void *value,
			  socklen_t *len);
int qs_sockopt_stored_set(int fd, const struct qs_mark *mark, int level, int name,
			  const void *value, socklen_t len);
int qs_sockopt_tcp_info(int fd, const struct qs_mark *mark, void *value, socklen_t *len);
/* What a fresh TCP socket says. */
int qs_sockopt_default_get(const struct qs_mark *mark, int level, int name, void *value,
			   socklen_t *len);

/* Notes a value (by qs_option_index) where the engine, and a later getsockopt(), will find it. */
void qs_sockopt_store(const struct qs_mark *mark, int option, int value);
/* Counts an option that was accepted without effect. */
void qs_sockopt_ignore(const struct qs_mark *mark);
/* Hands an integer to the app as the kernel does. */
int qs_sockopt_give(const void *from, socklen_t size, void *value, socklen_t *len);

#endif
