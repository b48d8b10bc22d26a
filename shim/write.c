/* SPDX-License-Identifier: MIT */
/* The write and send family: the kernel's own, with TCP's errors, addresses and control messages.
 */
#include "connect.h"
#include "end.h"
#include "raw.h"
#include "real.h"
#include "sock.h"

#include <limits.h>
#include <string.h>
#include <sys/uio.h>

/*
 * Theory. TCP's first write after a reset says ECONNRESET and raises no SIGPIPE; AF_UNIX says EPIPE
 * and raises it. So the send family asks for no signal, and where EPIPE is the right answer, and
 * the app wants the signal, the call is made once more as the app made it. write() and writev()
 * have no flags: on a descriptor that is known to be mapped they are sent as sendto() and sendmsg(),
 * which are the same for a socket; not where the program has set a seccomp filter, to which they are
 * not. A copy of a descriptor is not known at first, and what came by exec: there the errno is
 * mended, but the signal has been sent (quicshim(7) says so).
 * TCP ignores an address given to a connected socket, SCM_RIGHTS, and knows urgent data: on a
 * mapped socket the first two are left out, and urgent data goes in line.
 */

#define OURS_TO_HIDE (MSG_OOB | MSG_FASTOPEN)

static bool is_mapped(int fd)
{
	struct qs_mark mark;
	int saved = errno;
	bool yes = qs_may_look() && qs_sock_mark(fd, &mark);

	errno = saved;
	return yes;
}

/*
 * Flags as a mapped socket may see them. MSG_FASTOPEN with an address connects first; on a
 * connected socket it is an error, as for TCP. False if so, with errno.
 */
static bool prepare(int fd, int *flags, const struct sockaddr *addr, socklen_t len)
{
	if (!(*flags & OURS_TO_HIDE) || !qs_watching())
		return true;
	if ((*flags & MSG_FASTOPEN) && qs_connect_would_map(fd, addr, len)) {
		if (qs_connect(fd, addr, len) < 0)
			return false;
		*flags &= ~MSG_FASTOPEN; /* it may be TCP all the same: mode prefer */
	} else if ((*flags & MSG_FASTOPEN) && is_mapped(fd)) {
		errno = EISCONN;
		return false;
	}
	if (is_mapped(fd))
		*flags &= ~OURS_TO_HIDE;
	return true;
}

/* What write() would say differently: no socket at all, an EPIPE with its signal, a family without the flag. */
static bool must_be_asked_plainly(int fd, int saved)
{
	if (errno == ENOTSOCK)
		qs_sock_forget(fd);
	if (errno != ENOTSOCK && errno != EPIPE && errno != EINVAL && errno != EOPNOTSUPP)
		return false;
	errno = saved;
	return true;
}

QS_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	int saved = errno;
	ssize_t sent;

	if (qs_may_swap() && qs_sock_was_mapped(fd)) {
		sent = qs_end_write(fd, qs_real.sendto(fd, buf, len, MSG_NOSIGNAL, NULL, 0));
		if (sent >= 0 || !must_be_asked_plainly(fd, saved))
			return sent;
	}
	return qs_end_write(fd, qs_real.write(fd, buf, len));
}

QS_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	int saved = errno;
	ssize_t sent;

	if (n >= 0 && n <= IOV_MAX && qs_may_swap() && qs_sock_was_mapped(fd)) {
		sent = qs_end_write(fd, qs_real.sendmsg(fd, &msg, MSG_NOSIGNAL));
		if (sent >= 0 || !must_be_asked_plainly(fd, saved))
			return sent;
	}
	return qs_end_write(fd, qs_real.writev(fd, iov, n));
}

/* With an offset it is no call for sockets. */
QS_EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (offset == -1 && !flags && qs_may_swap() && qs_sock_was_mapped(fd))
		return writev(fd, iov, n);
	return qs_end_write(fd, qs_real.pwritev2(fd, iov, n, offset, flags));
}

QS_EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	return pwritev2(fd, iov, n, offset, flags);
}

QS_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ssize_t sent;

	if (!qs_active())
		return qs_real.send(fd, buf, len, flags);
	if (!prepare(fd, &flags, NULL, 0))
		return -1;
	sent = qs_end_write(fd, qs_real.send(fd, buf, len, flags | MSG_NOSIGNAL));
	if (sent < 0 && errno == EPIPE && !(flags & MSG_NOSIGNAL))
		sent = qs_real.send(fd, buf, len, flags);
	return sent;
}

QS_EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags,
			 const struct sockaddr *addr, socklen_t addr_len)
{
	int saved = errno;
	ssize_t sent;

	if (!prepare(fd, &flags, addr, addr_len))
		return -1;
	if (!qs_active())
		return qs_real.sendto(fd, buf, len, flags, addr, addr_len);
	sent = qs_real.sendto(fd, buf, len, flags | MSG_NOSIGNAL, addr, addr_len);
	if (sent < 0 && errno == EISCONN && addr && is_mapped(fd)) {
		addr = NULL;
		addr_len = 0;
		errno = saved;
		sent = qs_real.sendto(fd, buf, len, flags | MSG_NOSIGNAL, NULL, 0);
	}
	sent = qs_end_write(fd, sent);
	if (sent < 0 && errno == EPIPE && !(flags & MSG_NOSIGNAL))
		sent = qs_real.sendto(fd, buf, len, flags, addr, addr_len);
	return sent;
}

QS_EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr copy;
	int saved = errno;
	ssize_t sent;

	if (!msg || !prepare(fd, &flags, msg->msg_name, msg->msg_namelen))
		return msg ? -1 : qs_real.sendmsg(fd, msg, flags);
	if (!qs_active())
		return qs_real.sendmsg(fd, msg, flags);
	copy = *msg;
	if (msg->msg_control && msg->msg_controllen && is_mapped(fd)) {
		copy.msg_control = NULL;
		copy.msg_controllen = 0;
	}
	sent = qs_real.sendmsg(fd, &copy, flags | MSG_NOSIGNAL);
	if (sent < 0 && errno == EISCONN && copy.msg_name && is_mapped(fd)) {
		copy.msg_name = NULL;
		copy.msg_namelen = 0;
		errno = saved;
		sent = qs_real.sendmsg(fd, &copy, flags | MSG_NOSIGNAL);
	}
	sent = qs_end_write(fd, sent);
	if (sent < 0 && errno == EPIPE && !(flags & MSG_NOSIGNAL))
		sent = qs_real.sendmsg(fd, &copy, flags);
	return sent;
}

/* As the kernel does it: one after another, and an error tells only if it meets the first. */
static int send_each(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	int saved = errno;
	unsigned done = 0;

	for (; done < n && done < IOV_MAX; done++) {
		ssize_t sent = sendmsg(fd, &msgs[done].msg_hdr, flags);

		if (sent < 0)
			break;
		msgs[done].msg_len = (unsigned)sent;
	}
	if (done == 0 && n > 0)
		return -1;
	errno = saved;
	return (int)done;
}

QS_EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	if (msgs && n > 0 &&
	    (((flags & MSG_FASTOPEN) && qs_watching() &&
	      qs_connect_would_map(fd, msgs[0].msg_hdr.msg_name, msgs[0].msg_hdr.msg_namelen)) ||
	     (qs_active() && is_mapped(fd))))
		return send_each(fd, msgs, n, flags);
	return qs_real.sendmmsg(fd, msgs, n, flags);
}
