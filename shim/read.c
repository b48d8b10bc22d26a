/* SPDX-License-Identifier: MIT */
/* The read and recv family: the kernel's own; the end of a connection is told as TCP tells it. */
#include "address.h"
#include "end.h"
#include "raw.h"
#include "read_flags.h"
#include "real.h"
#include "sock.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

/*
 * Theory. Bytes come from the kernel: success costs one branch. Four things of AF_UNIX must not be
 * seen: the name of the engine's end (TCP leaves the address of a received message empty), that
 * MSG_TRUNC gives bytes where TCP throws them away, that MSG_ERRQUEUE gives bytes of the stream, and
 * that MSG_PEEK with MSG_WAITALL does not wait for all (read_flags.c).
 */

/* In a process that pays attention only. */
static bool is_mapped(int fd)
{
	struct qs_mark mark;
	int saved = errno;
	bool yes = qs_may_look() && qs_sock_mark(fd, &mark);

	errno = saved;
	return yes;
}

/* recv() of no bytes gives 0 where there are some, and tells an end where there are none; read() does not. */
static ssize_t end_recv(int fd, ssize_t got, size_t wanted)
{
	int there = 0;

	if (got == 0 && !wanted && qs_may_look() &&
	    qs_raw(SYS_ioctl, fd, FIONREAD, &there, 0) == 0 && !there)
		wanted = 1;
	return qs_end_read(fd, got, wanted);
}

static ssize_t receive_one(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};

	return end_recv(fd, qs_read_flags(fd, &iov, 1, len, flags), len);
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

QS_EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	ssize_t got = qs_real.preadv2(fd, iov, n, offset, flags);

	if (got > 0 || !qs_active())
		return got;
	return qs_end_read(fd, got, got == 0 && n > 0 ? total_length(iov, (size_t)n) : 0);
}

QS_EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	return preadv2(fd, iov, n, offset, flags);
}

QS_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (__builtin_expect(qs_read_is_not_for_unix(flags), 0) && is_mapped(fd))
		return receive_one(fd, buf, len, flags);
	return end_recv(fd, qs_real.recv(fd, buf, len, flags), len);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);

QS_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (__builtin_expect(qs_read_is_not_for_unix(flags), 0) && len <= size && is_mapped(fd))
		return receive_one(fd, buf, len, flags);
	return end_recv(fd, qs_real.recv_chk(fd, buf, len, size, flags), len);
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
		if (__builtin_expect(qs_read_is_not_for_unix(flags), 0) && !addr && is_mapped(fd))
			return receive_one(fd, buf, len, flags);
		return end_recv(fd, qs_real.recvfrom(fd, buf, len, flags, addr, addr_len), len);
	}
	if (qs_read_is_not_for_unix(flags) && is_mapped(fd)) {
		got = receive_one(fd, buf, len, flags);
		if (got >= 0)
			*addr_len = 0;
		return got;
	}
	got = qs_real.recvfrom(fd, buf, len, flags, (struct sockaddr *)&from, &from_len);
	if (got >= 0)
		give_address(fd, &from, from_len, addr, addr_len);
	return end_recv(fd, got, len);
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

/* What a message has room for. */
static size_t room(const struct msghdr *msg)
{
	return msg->msg_iovlen <= IOV_MAX ? total_length(msg->msg_iov, msg->msg_iovlen) : 0;
}

/* recvmsg() in a process that may have mapped sockets; an end is not told yet. */
static ssize_t receive_message(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_storage from;
	struct msghdr copy = *msg;
	ssize_t got;

	if (msg->msg_name && (int)msg->msg_namelen >= 0) {
		copy.msg_name = &from;
		copy.msg_namelen = sizeof(from);
	}
	if (qs_read_is_not_for_unix(flags) && is_mapped(fd)) {
		got = qs_read_flags(fd, msg->msg_iov, msg->msg_iovlen, room(msg), flags);
		if (copy.msg_name)
			copy.msg_namelen = 0;
		copy.msg_controllen = 0;
		copy.msg_flags = flags & MSG_CMSG_CLOEXEC;
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
	return got;
}

QS_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t got;

	if (qs_active() && msg) {
		got = receive_message(fd, msg, flags);
		return end_recv(fd, got, got == 0 ? room(msg) : 1);
	}
	got = qs_real.recvmsg(fd, msg, flags);
	if (got >= 0 && __builtin_expect(msg && msg->msg_controllen > 0, 0))
		notice_descriptors(msg);
	return got;
}

/* What is left until `end`, into `timeout`. False if nothing is. */
static bool is_time_left(const struct timespec *end, struct timespec *timeout)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	timeout->tv_sec = end->tv_sec - now.tv_sec;
	timeout->tv_nsec = end->tv_nsec - now.tv_nsec;
	if (timeout->tv_nsec < 0) {
		timeout->tv_sec--;
		timeout->tv_nsec += 1000000000;
	}
	if (timeout->tv_sec < 0)
		*timeout = (struct timespec){0};
	return timeout->tv_sec || timeout->tv_nsec;
}

/*
 * As the kernel does it: an errno that waits is told before any data, one that is met after a message waits for the next
 * call, and the time is looked at after each message only.
 */
static int receive_each(int fd, struct mmsghdr *msgs, unsigned n, int flags,
			struct timespec *timeout)
{
	int saved = errno, error = 0;
	socklen_t len = sizeof(error);
	struct timespec end = {0};
	unsigned done;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error) {
		errno = error;
		return -1;
	}
	if (timeout) {
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout->tv_sec + (end.tv_nsec + timeout->tv_nsec) / 1000000000;
		end.tv_nsec = (end.tv_nsec + timeout->tv_nsec) % 1000000000;
	}
	for (done = 0; done < n; done++) {
		struct msghdr *msg = &msgs[done].msg_hdr;
		ssize_t got = receive_message(fd, msg, flags & ~MSG_WAITFORONE);

		if (done == 0)
			got = end_recv(fd, got, got == 0 ? room(msg) : 1);
		if (got < 0 || (got == 0 && done > 0 && room(msg) && qs_end_is_error(fd)))
			break;
		msgs[done].msg_len = (unsigned)got;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (timeout && !is_time_left(&end, timeout)) {
			done++;
			break;
		}
	}
	if (done == 0 && n > 0)
		return -1;
	errno = saved;
	return (int)done;
}

static bool is_time(const struct timespec *t)
{
	return !t || (t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < 1000000000);
}

QS_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
		       struct timespec *timeout)
{
	size_t wanted = 1;
	int got;

	if (msgs && is_time(timeout) && qs_may_swap() && is_mapped(fd))
		return receive_each(fd, msgs, n, flags, timeout);
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
