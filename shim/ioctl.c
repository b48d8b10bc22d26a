/* SPDX-License-Identifier: MIT */
/* ioctl: the requests that AF_UNIX answers differently from TCP. */
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/ioctl.h>

/* Bytes written and not acknowledged by the peer. What the engine has not taken yet is the kernel's
 * estimate. */
static int unacknowledged(const struct qs_mark *mark, int native)
{
	struct qs_slot_view slot;
	uint64_t bytes = native > 0 ? (uint64_t)native : 0;

	if (mark->state != QS_MARK_OPEN)
		return 0;
	if (qs_pages_slot(mark, &slot) && slot.sent_bytes > slot.acked_bytes)
		bytes += slot.sent_bytes - slot.acked_bytes;
	return bytes > INT_MAX ? INT_MAX : (int)bytes;
}

static int ioctl_maybe_mapped(int fd, unsigned long request, void *arg)
{
	struct qs_mark mark;
	int rc, *out = arg;

	if (!qs_sock_mark(fd, &mark) || mark.state == QS_MARK_LISTENER || !out)
		return qs_real.ioctl(fd, request, arg);
	if (request == SIOCATMARK) {
		*out = 0;
		return 0;
	}
	rc = qs_real.ioctl(fd, SIOCOUTQ, out);
	if (rc == 0)
		*out = request == SIOCOUTQ ? unacknowledged(&mark, *out) : 0;
	return rc;
}

/* About interfaces, addresses and the like, which AF_UNIX partly doesn't know: any socket of the family may ask. */
static int ioctl_of_family(int fd, unsigned long request, void *arg)
{
	int saved = errno, rc = qs_real.ioctl(fd, request, arg), sock;
	struct qs_mark mark;

	if (rc >= 0 || errno != ENOTTY || !qs_may_swap() || !qs_sock_mark(fd, &mark))
		return rc;
	sock = qs_sys_socket(mark.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (sock < 0)
		return rc;
	errno = saved;
	rc = qs_real.ioctl(sock, request, arg);
	qs_sys_close(sock);
	return rc;
}

QS_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (qs_may_look() &&
	    (request == SIOCOUTQ || request == SIOCATMARK || request == SIOCOUTQNSD))
		return ioctl_maybe_mapped(fd, request, arg);
	if (_IOC_TYPE(request) == SOCK_IOC_TYPE && qs_may_look())
		return ioctl_of_family(fd, request, arg);
	return qs_real.ioctl(fd, request, arg);
}
