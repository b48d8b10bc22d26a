/* SPDX-License-Identifier: MIT */
/* lio_listio with several requests on a connection, aio_fsync, and the end of file. */
#include "harness.h"

#include <aio.h>

static void large(const int pair[2])
{
	char out[4] = "xyz", in[4] = "";
	struct aiocb64 request = {.aio_fildes = pair[0],
				  .aio_buf = out,
				  .aio_nbytes = 3,
				  .aio_lio_opcode = LIO_WRITE};
	struct aiocb64 *list[1] = {&request};

	TRY(lio_listio64(LIO_WAIT, list, 1, NULL));
	TRY(aio_return64(&request));
	TRY(ct_read_full(pair[1], in, 3));
	ct_note("read %s", in);
}

int main(void)
{
	char out[3][4] = {"abc", "def", "ghi"}, in[10] = {0};
	struct aiocb requests[3], *list[3], reader = {.aio_buf = in, .aio_nbytes = 9};
	const struct aiocb *wait[1] = {&reader};
	int pair[2], sum = 0;

	ct_init();
	ct_pair(pair);
	memset(requests, 0, sizeof(requests));
	for (int i = 0; i < 3; i++) {
		requests[i].aio_fildes = pair[0];
		requests[i].aio_buf = out[i];
		requests[i].aio_nbytes = 3;
		requests[i].aio_lio_opcode = LIO_WRITE;
		list[i] = &requests[i];
	}
	TRY(lio_listio(LIO_WAIT, list, 3, NULL));
	for (int i = 0; i < 3; i++)
		sum += (int)aio_return(&requests[i]);
	ct_note("written %d", sum);
	TRY(ct_read_full(pair[1], in, 9));
	ct_note("read %s", in);
	large(pair);
	TRY(close(pair[0]));
	reader.aio_fildes = pair[1];
	TRY(aio_read(&reader));
	while (aio_error(&reader) == EINPROGRESS)
		aio_suspend(wait, 1, NULL);
	ct_note("end: error %d, result %zd", aio_error(&reader), aio_return(&reader));
	return 0;
}
