/* SPDX-License-Identifier: MIT */
/* POSIX aio on a connection. */
#include "harness.h"

#include <aio.h>

static void finish(struct aiocb *request, const char *name)
{
	const struct aiocb *list[1] = {request};

	while (aio_error(request) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	ct_note("%s: error %d, result %zd", name, aio_error(request), aio_return(request));
}

static void finish64(struct aiocb64 *request, const char *name)
{
	const struct aiocb64 *list[1] = {request};

	while (aio_error64(request) == EINPROGRESS)
		aio_suspend64(list, 1, NULL);
	ct_note("%s: error %d, result %zd", name, aio_error64(request), aio_return64(request));
}

/* The twins for large files, the other way. */
static void large(const int pair[2])
{
	char in[8] = {0}, out[8] = "large";
	struct aiocb64 read_request = {.aio_fildes = pair[0], .aio_buf = in, .aio_nbytes = 5};
	struct aiocb64 write_request = {.aio_fildes = pair[1], .aio_buf = out, .aio_nbytes = 5};

	TRY(aio_read64(&read_request));
	TRY(aio_write64(&write_request));
	finish64(&write_request, "write");
	finish64(&read_request, "read");
	ct_note("read %s", in);
}

int main(void)
{
	char in[8] = {0}, out[8] = "hello";
	struct aiocb read_request = {.aio_buf = in, .aio_nbytes = 5};
	struct aiocb write_request = {.aio_buf = out, .aio_nbytes = 5};
	int pair[2];

	ct_init();
	ct_pair(pair);
	read_request.aio_fildes = pair[1];
	write_request.aio_fildes = pair[0];
	TRY(aio_read(&read_request));
	TRY(aio_write(&write_request));
	finish(&write_request, "write");
	finish(&read_request, "read");
	ct_note("read %s", in);
	large(pair);
	return 0;
}
