/* SPDX-License-Identifier: MIT */
/* What a failed or empty read or write on a mapped descriptor must tell. */
#ifndef QS_END_H
#define QS_END_H

#include "state.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

enum qs_end_side { QS_END_READ, QS_END_WRITE };

/* The slow half of the functions below. */
ssize_t qs_end_look(int fd, enum qs_end_side side, ssize_t result);

/* A read of a mapped descriptor has met the end of the data: true if that is an errno, which this does not tell yet. */
bool qs_end_is_error(int fd);

static inline bool qs_end_is_told_as_is(int error)
{
	return error == EAGAIN || error == EINTR || error == EBADF || error == ENOTSOCK ||
	       error == EFAULT;
}

/*
 * Take the result of a real call: success goes through untouched. The end of the data (0, where
 * bytes were asked for) and errors other than EAGAIN and EINTR are looked at in a process that may
 * look (R7): what comes back, with errno, is what TCP would have given.
 */
static inline ssize_t qs_end_read(int fd, ssize_t result, size_t wanted)
{
	if (__builtin_expect(result > 0, 1) || !qs_may_look() || (result == 0 && !wanted) ||
	    (result < 0 && qs_end_is_told_as_is(errno)))
		return result;
	return qs_end_look(fd, QS_END_READ, result);
}

static inline ssize_t qs_end_write(int fd, ssize_t result)
{
	if (__builtin_expect(result >= 0, 1) || !qs_may_look() || qs_end_is_told_as_is(errno))
		return result;
	return qs_end_look(fd, QS_END_WRITE, result);
}

#endif
