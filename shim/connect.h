/* SPDX-License-Identifier: MIT */
/* connect() as other files of the shim need it, and the end of an attempt. */
#ifndef QS_CONNECT_H
#define QS_CONNECT_H

#include "../engine/control.h"

/* What connect() does, for send*(MSG_FASTOPEN): 0 or -1 with errno. */
int qs_connect(int fd, const struct sockaddr *addr, socklen_t len);

/* The destination is that of a policy's quic rule, or the policy is broken. */
bool qs_connect_concerns(const struct sockaddr *addr, socklen_t len);

/* The destination and size are those of a policy's quic rule (or the policy is broken) and fd is a
 * fresh TCP socket. */
bool qs_connect_would_map(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * For a mark CONNECTING or FAILED: the errno of the attempt that has ended, 0 if it goes on.
 * `*mark` is read again; an engine that died without a word counts as ECONNREFUSED. Tells the user
 * what he must mend.
 */
int qs_connect_error(int fd, struct qs_mark *mark);
/* The same for who will tell it: to one of several. The mark's errno is then `told`, in `*mark` 0 for the others. */
int qs_connect_take_error(int fd, struct qs_mark *mark, uint8_t told);
/* True if the engine of an attempt that goes on (the mark as it was read) has died. `*mark` is read again. */
bool qs_connect_is_orphan(int fd, struct qs_mark *mark);

#endif
