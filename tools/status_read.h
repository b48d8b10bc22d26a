/* SPDX-License-Identifier: MIT */
/* Reading one engine's status socket into memory that can be trusted. */
#ifndef QS_STATUS_READ_H
#define QS_STATUS_READ_H

#include "status.h"

#include <sys/types.h>

/* More entries of a kind than an engine can have slots for are a lie. */
#define QS_STATUS_ENTRIES_MAX QS_SLOTS_MAX
#define QS_STATUS_TIMEOUT_MS 2000

/*
 * What an engine said, after the checks: every string ends with a NUL and is printable ASCII, every
 * state is one of its enum, every address family is 0, AF_INET or AF_INET6. Numbers are as the
 * engine gave them.
 */
struct qs_snapshot {
	struct qs_status_head head;
	struct qs_status_connection *connections;
	struct qs_status_stream *streams;
	struct qs_status_listener *listeners;
	struct qs_status_member *members;
	struct qs_status_verdict *verdicts;
	struct qs_status_failure *failures;
	uid_t uid; /* who the kernel says listens there, and not what the head says */
	pid_t pid; /* likewise; the head's where the kernel can't name it (another pid namespace) */
};

/*
 * Read one whole answer from a connected stream socket, until the other end closes, within
 * `timeout_ms` in all. `id` is the engine that was asked; its answer must name it. `uid` and `pid`
 * are left 0. The caller ends *out with qs_snapshot_fini() in any case. Returns 0; -ETIMEDOUT;
 * -EPROTO: not an answer, or a broken one; -EPROTONOSUPPORT: another version of the protocol;
 * -EPIPE: closed before the first byte, as an engine does to whom it refuses; -ENOMEM; or what
 * poll(2) and recv(2) say. On failure all counts are 0.
 */
int qs_snapshot_read(int fd, uint64_t id, int timeout_ms, struct qs_snapshot *out);

/*
 * Connect to engine `id`, check who is there, and read. Besides the above: -ECONNREFUSED: gone;
 * -EACCES: it belongs to another user, and was not read (out->uid says which).
 */
int qs_snapshot_ask(uint64_t id, int timeout_ms, struct qs_snapshot *out);

void qs_snapshot_fini(struct qs_snapshot *snapshot);

/*
 * Find the engines of this network namespace in a file like /proc/net/unix. *out is an array for
 * the caller to free, in ascending order, each id once. Returns how many, or -errno.
 */
int qs_engines_find(const char *path, uint64_t **out);

#endif
