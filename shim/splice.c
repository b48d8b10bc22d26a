/* SPDX-License-Identifier: MIT */
/* splice, sendfile: the kernel's own; the end of a connection is told as TCP tells it. */
#include "end.h"
#include "real.h"

#include <fcntl.h>
#include <sys/sendfile.h>

/*
 * Theory. Either end of splice() may be the socket, and an error does not say which one it is about: ECONNRESET is the
 * reader's, and EPIPE is told of the writer only where that is mapped. The signal of an EPIPE has been sent by then
 * (quicshim(7) says so).
 */

_Static_assert(sizeof(off_t) == sizeof(off64_t),
	       "the functions with 64 in their names are the same");

static ssize_t tell_writer(int fd, ssize_t sent)
{
	return sent < 0 && errno == EPIPE ? qs_end_write(fd, sent) : sent;
}

QS_EXPORT ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t len,
			 unsigned flags)
{
	ssize_t moved = qs_real.splice(in, in_offset, out, out_offset, len, flags);

	if (moved == 0 || (moved < 0 && errno == ECONNRESET))
		return qs_end_read(in, moved, len);
	return tell_writer(out, moved);
}

QS_EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t len)
{
	return tell_writer(out, qs_real.sendfile(out, in, offset, len));
}

QS_EXPORT ssize_t sendfile64(int out, int in, off64_t *offset, size_t len)
{
	return sendfile(out, in, offset, len);
}
