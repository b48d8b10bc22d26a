/* SPDX-License-Identifier: MIT */
/* Calls that sockets don't have: the errno of each; and preadv2 and pwritev2 without a position. */
#include "harness.h"

int main(void)
{
	char buffer[8] = "hello";
	struct iovec iov = {buffer, 5};
	int pair[2], file;

	ct_init();
	ct_pair(pair);
	TRY(pread(pair[0], buffer, 1, 0));
	TRY(pwrite(pair[0], buffer, 1, 0));
	TRY(preadv(pair[0], &iov, 1, 0));
	TRY(pwritev(pair[0], &iov, 1, 0));
	TRY(lseek(pair[0], 0, SEEK_CUR));
	/* The same for large files, which on 64 bits are names of the same. */
	TRY(pread64(pair[0], buffer, 1, 0));
	TRY(pwrite64(pair[0], buffer, 1, 0));
	TRY(preadv64(pair[0], &iov, 1, 0));
	TRY(pwritev64(pair[0], &iov, 1, 0));
	TRY(lseek64(pair[0], 0, SEEK_CUR));
	TRY(posix_fadvise(pair[0], 0, 0, POSIX_FADV_NORMAL));
	TRY(posix_fallocate(pair[0], 0, 1));
	TRY(fdatasync(pair[0]));
	file = MUST(open("file", O_CREAT | O_RDWR, 0600));
	TRY(copy_file_range(pair[0], NULL, file, NULL, 5, 0));
	TRY(pwritev2(pair[0], &iov, 1, -1, 0));
	TRY(preadv2(pair[1], &iov, 1, -1, 0));
	TRY(preadv2(pair[1], &iov, 1, -1, RWF_NOWAIT));
	TRY(pwritev2(pair[0], &iov, 1, -1, RWF_NOWAIT));
	TRY(ct_read_full(pair[1], buffer, 5));
	TRY(pwritev64v2(pair[0], &iov, 1, -1, 0));
	TRY(preadv64v2(pair[1], &iov, 1, -1, 0));
	return 0;
}
