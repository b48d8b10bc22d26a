/* SPDX-License-Identifier: MIT */
/* The read and recv family: the kernel's own; the end of a connection is told as TCP tells it. */
#include "end.h"
#include "raw.h"
#include "real.h"
#include "sock.h"

#include "address.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>

/*
 * Theory. Bytes come from the kernel: success costs one branch. Four things of AF_UNIX must not be
 * seen: the name of the engine's end (TCP leaves the address of a received message empty), that
 * MSG_TRUNC gives bytes where TCP throws them away, that MSG_ERRQUEUE gives bytes of the stream, and
 * that MSG_PEEK with MSG_WAITALL does not wait for all.
 */

static bool is_not_for_unix(int flags)
{
	return (flags & (MSG_TRUNC | MSG_ERRQUEUE)) ||
	       (flags & (MSG_PEEK | MSG_WAITALL)) == (MSG_PEEK | MSG_WAITALL);
}

/* In a process that pays attention only. */
static bool is_mapped(int fd)
{
	struct qs_mark mark;
	int saved = errno;
	bool yes = qs_may_look() && qs_sock_mark(fd, &mark);

	errno = saved;
	return yes;
}

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

/* A read with such flags, of a mapped socket. TCP has an error queue, and ours is empty. */
static ssize_t receive(int fd, struct iovec *iov, size_t n, size_t len, int flags)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};

	if (flags & MSG_ERRQUEUE) {
		errno = EAGAIN;
		return -1;
	}
	return flags & MSG_TRUNC ? discard(fd, len, flags) : peek_all(fd, &msg, len, flags);
}

static ssize_t receive_one(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	return qs_end_read(fd, receive(fd, &iov, 1, len, flags), len);
}

static size_t total_length(const struct iovec *iov, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += iov[i].iov_len;
	return total;
}

QS_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	return qs_end_read(fd, qs_real.read(fd, buf, len), len);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);

QS_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	return qs_end_read(fd, qs_real.read_chk(fd, buf, len, size), len);
}

QS_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	ssize_t got = qs_real.readv(fd, iov, n);

	if (got > 0 || !qs_active())
		return got;
	return qs_end_read(fd, got, got == 0 && n > 0 ? total_length(iov, (size_t)n) : 0);
}

QS_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (__builtin_expect(is_not_for_unix(flags), 0) && is_mapped(fd))
		return receive_one(fd, buf, len, flags);
	return qs_end_read(fd, qs_real.recv(fd, buf, len, flags), len);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);

QS_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (__builtin_expect(is_not_for_unix(flags), 0) && len <= size && is_mapped(fd))
		return receive_one(fd, buf, len, flags);
	return qs_end_read(fd, qs_real.recv_chk(fd, buf, len, size, flags), len);
}

/* An address that a real call gave goes to the app, unless it is the engine's: TCP gives none. */
static void give_address(int fd, const struct sockaddr_storage *from, socklen_t len,
			 struct sockaddr *addr, socklen_t *addr_len)
{
	if (len >= sizeof(sa_family_t) && from->ss_family == AF_UNIX && is_mapped(fd))
		len = 0;
	qs_address_give(from, len, addr, addr_len);
}

QS_EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
			   struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	ssize_t got;

	if (!qs_active() || !addr || !addr_len || (int)*addr_len < 0) {
		if (__builtin_expect(is_not_for_unix(flags), 0) && !addr && is_mapped(fd))
			return receive_one(fd, buf, len, flags);
		return qs_end_read(fd, qs_real.recvfrom(fd, buf, len, flags, addr, addr_len), len);
	}
	if (is_not_for_unix(flags) && is_mapped(fd)) {
		got = receive_one(fd, buf, len, flags);
		if (got >= 0)
			*addr_len = 0;
		return got;
	}
	got = qs_real.recvfrom(fd, buf, len, flags, (struct sockaddr *)&from, &from_len);
	if (got >= 0)
		give_address(fd, &from, from_len, addr, addr_len);
	return qs_end_read(fd, got, len);
}

ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len, size_t size, int flags,
		       struct sockaddr *restrict addr, socklen_t *restrict addr_len);

QS_EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len, size_t size, int flags,
				 struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	if (len > size || !qs_active())
		return qs_real.recvfrom_chk(fd, buf, len, size, flags, addr, addr_len);
	return recvfrom(fd, buf, len, flags, addr, addr_len);
}

/* Descriptors came from another process: one of them may be mapped. */
static void notice_descriptors(struct msghdr *msg)
{
	if (!qs_watching())
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			qs_state_activate();
}

QS_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_storage from;
	struct msghdr copy;
	size_t wanted;
	ssize_t got;

	if (!qs_active() || !msg) {
		got = qs_real.recvmsg(fd, msg, flags);
		if (got >= 0 && __builtin_expect(msg && msg->msg_controllen > 0, 0))
			notice_descriptors(msg);
		return got;
	}
	copy = *msg;
	if (msg->msg_name && (int)msg->msg_namelen >= 0) {
		copy.msg_name = &from;
		copy.msg_namelen = sizeof(from);
	}
	wanted = msg->msg_iovlen <= 1024 ? total_length(msg->msg_iov, msg->msg_iovlen) : 0;
	if (is_not_for_unix(flags) && is_mapped(fd)) {
		got = receive(fd, msg->msg_iov, msg->msg_iovlen, wanted, flags);
		copy.msg_namelen = 0;
		copy.msg_controllen = 0;
		copy.msg_flags = 0;
	} else {
		got = qs_real.recvmsg(fd, &copy, flags);
	}
	if (got >= 0) {
		msg->msg_controllen = copy.msg_controllen;
		msg->msg_flags = copy.msg_flags;
		if (copy.msg_name == &from)
			give_address(fd, &from, copy.msg_namelen, msg->msg_name, &msg->msg_namelen);
		else
			msg->msg_namelen = copy.msg_namelen;
	}
	return qs_end_read(fd, got, wanted);
}

QS_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
		       struct timespec *timeout)
{
	size_t wanted = 1;
	int got;

	if ((flags & MSG_ERRQUEUE) && is_mapped(fd)) {
		errno = EAGAIN;
		return -1;
	}
	got = qs_real.recvmmsg(fd, msgs, n, flags, timeout);

	if (!qs_active())
		return got;
	for (int i = 0; i < got; i++) {
		const struct sockaddr *from = msgs[i].msg_hdr.msg_name;

		if (from && msgs[i].msg_hdr.msg_namelen >= sizeof(sa_family_t) &&
		    from->sa_family == AF_UNIX && is_mapped(fd))
			msgs[i].msg_hdr.msg_namelen = 0;
	}
	if (got > 0 && msgs[0].msg_len == 0)
		wanted = total_length(msgs[0].msg_hdr.msg_iov, msgs[0].msg_hdr.msg_iovlen);
	else if (got > 0)
		return got;
	return qs_end_read(fd, got < 0 ? -1 : 0, wanted) < 0 ? -1 : got;
}
