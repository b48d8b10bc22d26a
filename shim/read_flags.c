/* SPDX-License-Identifier: MIT */
/* Reads with flags that AF_UNIX takes otherwise than TCP. */
#include "read_flags.h"

#include "raw.h"
#include "real.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* When a read that begins now must end (SO_RCVTIMEO); -1 = never. */
static int64_t deadline_ms(int fd)
{
	struct timeval limit = {0};
	socklen_t len = sizeof(limit);

	if (qs_sys_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &len) < 0 ||
	    (!limit.tv_sec && !limit.tv_usec))
		return -1;
	return now_ms() + (int64_t)limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000;
}

static void close_it(void *fd)
{
	qs_sys_close(*(int *)fd);
}

/* Waits until something new has come to a readable socket. False at an end, a signal or the deadline. */
static bool await_more(int epfd, int64_t deadline)
{
	struct epoll_event event;
	int64_t left = deadline < 0 ? 0 : deadline - now_ms();
	int limit = deadline < 0 ? -1 : left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;

	return epoll_wait(epfd, &event, 1, limit) == 1 &&
	       !(event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

/* Looks again whenever something has come to what `epfd` watches, and gives what the last look gave. */
static ssize_t look_again(int epfd, int fd, const struct msghdr *msg, size_t len, int flags,
			  ssize_t got, int64_t deadline)
{
	bool more = true;

	while (more && (size_t)got < len) {
		struct msghdr copy = *msg;
		ssize_t again;

		more = await_more(epfd, deadline);
		again = qs_real.recvmsg(fd, &copy, (flags & ~MSG_WAITALL) | MSG_DONTWAIT);
		if (again <= 0)
			break;
		got = again;
	}
	return got;
}

/*
 * MSG_PEEK with MSG_WAITALL, after a first look that gave less than was asked for: an edge-triggered event says that more
 * has come. Where there is no descriptor left for that, the first look must do.
 */
static ssize_t peek_on(int fd, const struct msghdr *msg, size_t len, int flags, ssize_t first,
		       int64_t deadline)
{
	struct epoll_event want = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
	int epfd = (int)qs_raw(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0), saved = errno;
	ssize_t got;

	if (epfd < 0)
		return first;
	pthread_cleanup_push(close_it, &epfd);
	got = qs_raw(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, fd, &want) < 0
		      ? first
		      : look_again(epfd, fd, msg, len, flags, first, deadline);
	pthread_cleanup_pop(1);
	errno = saved;
	return got;
}

/* SO_PEEK_OFF: each look goes on where the last one ended. */
static bool has_offset(int fd)
{
	int offset = -1;
	socklen_t len = sizeof(offset);

	return qs_sys_getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) == 0 && offset >= 0;
}

static ssize_t peek_all(int fd, const struct msghdr *msg, size_t len, int flags)
{
	int64_t deadline = deadline_ms(fd);
	struct msghdr copy = *msg;
	ssize_t got = qs_real.recvmsg(fd, &copy, flags & ~MSG_WAITALL);

	if (got <= 0 || (size_t)got >= len || (flags & MSG_DONTWAIT) || !qs_may_swap() ||
	    (qs_sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK) || has_offset(fd))
		return got;
	return peek_on(fd, msg, len, flags, got, deadline);
}

/* What is thrown away goes here, any thread's: nobody reads it. Not on the stack, which may be as small as can be. */
#define N_WASTE 64
static char waste[65536];

/* MSG_TRUNC: throws away up to `len` bytes, or counts them. */
static ssize_t discard(int fd, size_t len, int flags)
{
	struct iovec iov[N_WASTE];
	struct msghdr msg = {.msg_iov = iov};
	int saved = errno, pass = flags & ~MSG_TRUNC;
	size_t total = 0, step;
	ssize_t got;

	do {
		step = 0;
		for (msg.msg_iovlen = 0; msg.msg_iovlen < N_WASTE && step < len - total;
		     msg.msg_iovlen++) {
			struct iovec *piece = &iov[msg.msg_iovlen];

			piece->iov_base = waste;
			piece->iov_len = len - total - step < sizeof(waste) ? len - total - step
									    : sizeof(waste);
			step += piece->iov_len;
		}
		if ((pass & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL))
			return peek_all(fd, &msg, step, pass);
		got = qs_real.recvmsg(fd, &msg,
				      pass | (total && !(pass & MSG_WAITALL) ? MSG_DONTWAIT : 0));
		if (got > 0)
			total += (size_t)got;
	} while (got > 0 && (size_t)got == step && total < len && !(flags & MSG_PEEK));
	if (total)
		errno = saved;
	return total ? (ssize_t)total : got;
}

/* TCP has an error queue, and ours is empty. */
ssize_t qs_read_flags(int fd, struct iovec *iov, size_t n, size_t len, int flags)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};

	if (flags & MSG_ERRQUEUE) {
		errno = EAGAIN;
		return -1;
	}
	return flags & MSG_TRUNC ? discard(fd, len, flags) : peek_all(fd, &msg, len, flags);
}
