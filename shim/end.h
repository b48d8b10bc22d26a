/* SPDX-License-Identifier: MIT */
/* What a failed or empty read or write on a mapped descriptor must tell. */
#ifndef QS_END_H
#define QS_END_H

#include "state.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

enum qs_end_side { QS_END_READ, QS_END_WRITE };

/* The slow half of qs_end(). */
ssize_t qs_end_look(int fd, enum qs_end_side side, ssize_t result, bool *epipe);

/*
 * Takes the result of a real call: success goes through untouched. 0 (of a read that asked for bytes) and
 * errors other than EAGAIN and EINTR are looked at in a process that may look (R7): what comes back, with
 * errno, is what TCP would have given.
 */
static inline ssize_t qs_end(int fd, enum qs_end_side side, ssize_t result)
{
	if (__builtin_expect(result > 0, 1) || !qs_may_look() ||
	    (result < 0 && (errno == EAGAIN || errno == EINTR || errno == EBADF ||
			    errno == ENOTSOCK || errno == EFAULT)))
		return result;
	return qs_end_look(fd, side, result, NULL);
}

#endif
