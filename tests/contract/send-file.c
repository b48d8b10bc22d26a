/* SPDX-License-Identifier: MIT */
/* sendfile from a file, with an offset and with the file's own; its bytes arrive unharmed. */
#include "harness.h"

#include <sys/sendfile.h>

#define TOTAL (4 << 20)

static int64_t send_all(int fd, int file, off_t *offset)
{
	int64_t done = 0;

	while (done < TOTAL) {
		ssize_t n = sendfile(fd, file, offset, (size_t)(TOTAL - done));

		if (n <= 0)
			return n;
		done += n;
	}
	return done;
}

/* The twin for large files: the last bytes again. */
static void large(int fd, int file)
{
	off64_t offset = TOTAL - 4096;
	ssize_t n = 0;

	while (offset < TOTAL && n >= 0)
		n = sendfile64(fd, file, &offset, (size_t)(TOTAL - offset));
	ct_note("offset %ld, last %d", (long)offset, n > 0);
}

static void server(int fd)
{
	off_t offset = 0;
	int file = MUST(open("content", O_RDONLY));

	CHECK(send_all(fd, file, &offset) == TOTAL);
	ct_note("offset %ld, file at %ld", (long)offset, (long)lseek(file, 0, SEEK_CUR));
	CHECK(send_all(fd, file, NULL) == TOTAL);
	ct_note("file at %ld", (long)lseek(file, 0, SEEK_CUR));
	TRY(sendfile(fd, file, NULL, 10));
	large(fd, file);
	close(fd);
}

static void client(int fd)
{
	static char got[4096], wanted[4096];

	ct_note("right: %d", ct_recv_pattern(fd, TOTAL, 21) == TOTAL);
	ct_note("right: %d", ct_recv_pattern(fd, TOTAL, 21) == TOTAL);
	ct_pattern(wanted, sizeof(wanted), TOTAL - sizeof(wanted), 21);
	TRY(ct_read_full(fd, got, sizeof(got)));
	ct_note("right: %d", memcmp(got, wanted, sizeof(got)) == 0);
	TRY(read(fd, (char[8]){0}, 1));
}

int main(void)
{
	int file;

	ct_init();
	file = MUST(open("content", O_CREAT | O_WRONLY, 0600));
	CHECK(ct_send_pattern(file, TOTAL, 21) == TOTAL);
	close(file);
	return ct_play(CT_APART, server, client);
}
