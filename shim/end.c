/* SPDX-License-Identifier: MIT */
/* Turns what AF_UNIX says at the end of a connection into what TCP says. */
#include "end.h"

#include "connect.h"
#include "pages.h"
#include "sock.h"

/*
 * Theory. An end with an errno is told once: by the first read, write or SO_ERROR that comes. After
 *that a read gives 0 and a write EPIPE. "Told" is in the mark, so all processes that share the
 *socket agree. The kernel itself says ECONNRESET once where the engine closed with bytes unread.
 *
 *			read		write
 * end in order		0		EPIPE
 * the engine died	ECONNRESET	EPIPE
 * reset, not told	its errno	its errno
 * reset, told		0		EPIPE
 * reset after a FIN	0		its errno
 * connect failed	its errno	its errno
 *   and that was told	0		EPIPE
 * unconnected again	ENOTCONN	EPIPE
 * listener		ENOTCONN	EPIPE
 */

static ssize_t tell(int error)
{
	errno = error;
	return -1;
}

/* The data ended, and neither the peer nor the app nor the engine has ended it: what is missing
 * must not look complete. */
static bool engine_died(const struct qs_mark *mark, const struct qs_slot_view *slot)
{
	const struct qs_options *options = qs_pages_options(mark);

	return slot->state == QS_SLOT_OPEN && !slot->fin_given && options &&
	       !__atomic_load_n(&options->read_shut, __ATOMIC_RELAXED);
}

/* After the errno was told. `error` is the kernel's own. */
static ssize_t tell_again(enum qs_end_side side, ssize_t result, int error)
{
	if (side == QS_END_READ)
		return result < 0 && error == ECONNRESET ? 0 : result;
	return error == ECONNRESET ? tell(EPIPE) : result;
}

/* What is to be told, 0 = nothing. `error` is the kernel's own, 0 or ECONNRESET. */
static int find_error(int fd, const struct qs_mark *mark, enum qs_end_side side, ssize_t result,
		      int error)
{
	struct qs_slot_view slot;

	if (qs_pages_slot(mark, &slot)) {
		if (side == QS_END_READ && slot.fin_given)
			return 0; /* as TCP: what comes after a FIN is for writes and SO_ERROR */
		if (slot.state == QS_SLOT_ENDED && slot.error)
			return slot.error;
		if (side == QS_END_READ && result == 0 && engine_died(mark, &slot))
			return ECONNRESET;
	} else if (side == QS_END_READ && result == 0 && qs_pages_lost(fd, mark)) {
		return ECONNRESET;
	}
	return error;
}

static ssize_t tell_open(int fd, struct qs_mark *mark, enum qs_end_side side, ssize_t result)
{
	int native = result < 0 && errno != EPIPE ? errno : 0, error;

	if (mark->error == QS_TOLD_END)
		return tell_again(side, result, native);
	if (native && native != ECONNRESET)
		return result;
	error = find_error(fd, mark, side, result, native);
	if (!error)
		return native ? 0 : result;
	if (!qs_pages_take_error(mark)) /* another thread is about to say so in the mark */
		return tell_again(side, result, result < 0 ? errno : 0);
	qs_sock_clear_error(fd);
	mark->error = QS_TOLD_END;
	qs_sock_set_mark(fd, mark);
	return tell(error);
}

bool qs_end_is_error(int fd)
{
	struct qs_mark mark;

	return qs_may_look() && qs_sock_mark(fd, &mark) && mark.state == QS_MARK_OPEN &&
	       mark.error != QS_TOLD_END && find_error(fd, &mark, QS_END_READ, 0, 0);
}

ssize_t qs_end_look(int fd, enum qs_end_side side, ssize_t result)
{
	struct qs_mark mark;
	int saved = errno, error;

	if (!qs_sock_mark(fd, &mark))
		goto as_it_is;
	error = qs_connect_take_error(fd, &mark, 0);
	errno = saved;
	switch (mark.state) {
	case QS_MARK_CONNECTING:
		break;
	case QS_MARK_OPEN:
		return tell_open(fd, &mark, side, result);
	case QS_MARK_FAILED:
		if (error)
			return tell(error);
		if (side == QS_END_READ && mark.error != QS_TOLD_OPEN) {
			errno = saved;
			return 0;
		}
		return tell(side == QS_END_READ ? ENOTCONN : EPIPE);
	case QS_MARK_LISTENER:
		return tell(side == QS_END_READ ? ENOTCONN : EPIPE);
	}
as_it_is:
	errno = saved;
	return result;
}
