/* SPDX-License-Identifier: MIT */
/* What other files need of listeners. */
#ifndef QS_LISTEN_H
#define QS_LISTEN_H

#include "../engine/control.h"

/* Maps those of sd_listen_fds(3) that the policy names. Called once, before main. */
void qs_listen_inherited(void);

/*
 * A mapped listener becomes a TCP socket again, bound as it was. 0 or -errno: -ENOENT if its address is not known and
 * nothing was done, -EADDRINUSE if it is a TCP socket, but not bound. Async-signal-safe; leaves errno alone.
 */
int qs_listen_rebind(int fd, const struct qs_mark *mark);

#endif
