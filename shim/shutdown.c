/* SPDX-License-Identifier: MIT */
/* shutdown: the kernel's own, with TCP's errors before and after a connection. */
#include "connect.h"
#include "pages.h"
#include "raw.h"
#include "real.h"
#include "sock.h"
#include "state.h"

#include <poll.h>

static bool is_over(int fd, const struct qs_mark *mark)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	struct timespec now = {0};
	struct qs_slot_view slot;

	if (mark->error == QS_TOLD_END)
		return true;
	return qs_raw6(SYS_ppoll, (long)&p, 1, (long)&now, 0, 8, 0) > 0 &&
	       qs_pages_slot(mark, &slot) && slot.state == QS_SLOT_ENDED;
}

static void note_read_shut(const struct qs_mark *mark)
{
	struct qs_options *options = qs_pages_options(mark);

	if (options)
		__atomic_store_n(&options->read_shut, 1, __ATOMIC_RELAXED);
}

/* TCP resets the connections that wait in the queue of a listener that is shut down. */
static void reset_waiting(int listener)
{
	for (;;) {
		struct qs_mark mark = {.state = QS_MARK_OPEN};
		struct qs_options *options;
		struct qs_record record;
		struct sockaddr_un name;
		socklen_t len = sizeof(name);
		/* After shutdown() it never waits. */
		int fd = (int)qs_raw(SYS_accept4, listener, (long)&name, (long)&len, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (qs_record_decode(&name, len, &record) == 0) {
			mark.slot = record.slot;
			mark.generation = record.generation;
			options = qs_pages_options(&mark);
			if (options) {
				options->linger_s = 0;
				__atomic_store_n(&options->linger_on, 1, __ATOMIC_RELEASE);
			}
		}
		qs_sys_close(fd);
	}
}

static int shutdown_mapped(int fd, int how, struct qs_mark *mark)
{
	bool over = false;

	qs_connect_error(fd, mark);
	switch (mark->state) {
	case QS_MARK_CONNECTING:
		/* TCP gives the attempt up: the socket is unconnected again. */
		if (how < SHUT_RD || how > SHUT_RDWR)
			break;
		return qs_sock_renew(fd, mark) < 0 ? (int)qs_result(-ENOTCONN) : 0;
	case QS_MARK_FAILED:
		over = true;
		break;
	case QS_MARK_OPEN:
		over = is_over(fd, mark);
		if (how == SHUT_RD || how == SHUT_RDWR)
			note_read_shut(mark);
		break;
	case QS_MARK_LISTENER:
		if (how == SHUT_WR)
			return 0;
		if (how != SHUT_RD && how != SHUT_RDWR)
			break;
		if (qs_real.shutdown(fd, SHUT_RDWR) < 0)
			return -1;
		if (qs_may_swap())
			reset_waiting(fd);
		return 0;
	}
	if (qs_real.shutdown(fd, how) < 0)
		return -1;
	return over ? (int)qs_result(-ENOTCONN) : 0;
}

QS_EXPORT int shutdown(int fd, int how)
{
	struct qs_mark mark;
	int saved = errno, rc;

	if (!qs_may_look() || !qs_sock_mark(fd, &mark))
		return qs_real.shutdown(fd, how);
	rc = shutdown_mapped(fd, how, &mark);
	if (rc == 0)
		errno = saved;
	return rc;
}
