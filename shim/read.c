/* SPDX-License-Identifier: MIT */
/* The read and recv family: the kernel's own; the end of a connection is told as TCP tells it. */
#include "end.h"
#include "raw.h"
#include "real.h"
#include "sock.h"

#include "address.h"

#include <string.h>
#include <sys/uio.h>

/*
 * Theory. Bytes come from the kernel: success costs one branch. Three things of AF_UNIX must not be
 * seen: the name of the engine's end (TCP leaves the address of a received message empty), that
 * MSG_TRUNC gives bytes where TCP throws them away, and that MSG_ERRQUEUE gives bytes of the stream.
 */

#define NOT_FOR_UNIX (MSG_TRUNC | MSG_ERRQUEUE)

/* In a process that pays attention only. */
static bool is_mapped(int fd)
{
	struct qs_mark mark;
	int saved = errno;
	bool yes = qs_may_look() && qs_sock_mark(fd, &mark);

	errno = saved;
	return yes;
}

/* What is thrown away goes here, any thread's: nobody reads it. Not on the stack, which may be as small as can be. */
static char waste[65536];

/* MSG_TRUNC: throw away up to `len` bytes. MSG_ERRQUEUE: TCP has an error queue, and ours is empty. */
static ssize_t discard(int fd, size_t len, int flags)
{
	size_t total = 0;
	ssize_t got;

	if (flags & MSG_ERRQUEUE) {
		errno = EAGAIN;
		return -1;
	}

	do {
		size_t step = len - total < sizeof(waste) ? len - total : sizeof(waste);

		got = qs_real.recv(fd, waste, step,
				   (flags & ~MSG_TRUNC) | (total ? MSG_DONTWAIT : 0));
		if (got > 0)
			total += (size_t)got;
	} while (got > 0 && total < len && !(flags & MSG_PEEK));
	return total ? (ssize_t)total : got;
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
	if (__builtin_expect(flags & NOT_FOR_UNIX, 0) && is_mapped(fd))
		return qs_end_read(fd, discard(fd, len, flags), len);
	return qs_end_read(fd, qs_real.recv(fd, buf, len, flags), len);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);

QS_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (__builtin_expect(flags & NOT_FOR_UNIX, 0) && is_mapped(fd))
		return qs_end_read(fd, discard(fd, len, flags), len);
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
		if (__builtin_expect(flags & NOT_FOR_UNIX, 0) && !addr && is_mapped(fd))
			return qs_end_read(fd, discard(fd, len, flags), len);
		return qs_end_read(fd, qs_real.recvfrom(fd, buf, len, flags, addr, addr_len), len);
	}
	if ((flags & NOT_FOR_UNIX) && is_mapped(fd)) {
		got = discard(fd, len, flags);
		from_len = 0;
	} else {
		got = qs_real.recvfrom(fd, buf, len, flags, (struct sockaddr *)&from, &from_len);
	}
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
	if ((flags & NOT_FOR_UNIX) && is_mapped(fd)) {
		got = discard(fd, wanted, flags);
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
