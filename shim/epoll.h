/* SPDX-License-Identifier: MIT */
/* Epoll registrations of sockets that a mapped connect or listen replaces (R9). */
#ifndef QS_EPOLL_H
#define QS_EPOLL_H

#include <sys/epoll.h>

#define QS_EPOLL_SAVED_MAX 4
struct qs_epoll_saved {
	unsigned n;
	struct {
		int epfd;
		struct epoll_event event;
	} at[QS_EPOLL_SAVED_MAX];
};

/* Removes the registrations of `fd` that were seen; to be called before dup3() puts another file
 * there. */
void qs_epoll_take(int fd, struct qs_epoll_saved *out);
/* Adds them for what `fd` is now. Both are async-signal-safe and leave errno alone. */
void qs_epoll_give(int fd, const struct qs_epoll_saved *saved);

#endif
