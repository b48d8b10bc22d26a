/* SPDX-License-Identifier: MIT */
/* Talks to the engine: finds it, starts it where there is none, and sends requests. */
#ifndef QS_ASK_H
#define QS_ASK_H

#include "../engine/control.h"

#include <stdatomic.h>

/*
 * Connects `sock` to a channel of this process's engine, which is started first if `start` is true
 * and nobody answers. 0, -ECONNREFUSED if there is no engine, or -errno. Leaves errno alone.
 * Async-signal-safe, but not if the engine is started as a thread.
 */
int qs_ask_connect(int sock, enum qs_channel channel, bool start);

/* The process that made the listener which answered last: another one for each engine. -1 = none yet. */
extern atomic_int qs_ask_engine;

/*
 * One request on the control channel; magic, version and token are filled in here. `fd` goes along
 * if it is not negative. Returns how many descriptors came with the reply (they are close-on-exec,
 * at most `max_fds`, exactly that many if reply->error is 0), or -errno.
 */
int qs_ask(struct qs_control_req *req, int fd, struct qs_control_reply *reply, int *fds,
	   unsigned max_fds, bool start);

#define QS_ASK_FDS_MAX QS_CONNECT_FDS_MAX
/* Sends a buffer with up to QS_ASK_FDS_MAX descriptors; bytes sent or -errno. */
long qs_ask_send(int sock, const void *data, size_t len, const int *fds, unsigned n_fds, int flags);

#endif
