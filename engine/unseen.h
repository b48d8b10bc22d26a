/* SPDX-License-Identifier: MIT */
/* Processes of our own in somebody else's process: no wait() and no SIGCHLD ever tells of them. */
#ifndef QS_UNSEEN_H
#define QS_UNSEEN_H

/*
 * Both: engine thread only. The new process starts with all signals blocked, belongs to init (or to
 * a subreaper above this process) before the call returns, and has its own copy of the caller's
 * descriptor table. No atfork handler runs and no lock is taken: 0 or -errno.
 */

/* A copy of this process with one thread, which calls child(arg) on a fresh stack of
 * QS_UNSEEN_STACK octets. `child` must never return. *pid is whose it is; it is no child of ours. */
#define QS_UNSEEN_STACK (512 * 1024)
int qs_unseen_fork(void (*child)(void *arg), void *arg, int *pid);

/* The program at `path`, with just the descriptors fds[0] and fds[1] as its 0 and 1 (2 is
 * /dev/null), in a session of its own. */
int qs_unseen_exec(const char *path, char *const argv[], const int fds[2]);

#endif
