/* SPDX-License-Identifier: MIT */
/* splice from a connection into a file through a pipe, as downloads may do. */
#include "harness.h"

#define TOTAL (2 << 20)

static void server(int fd)
{
	CHECK(ct_send_pattern(fd, TOTAL, 51) == TOTAL);
	close(fd);
}

static void client(int fd)
{
	int tube[2], file = MUST(open("got", O_CREAT | O_RDWR | O_TRUNC, 0600));
	int64_t moved = 0;
	ssize_t n;

	MUST(pipe(tube));
	while ((n = splice(fd, NULL, tube[1], NULL, 65536, SPLICE_F_MOVE | SPLICE_F_MORE)) > 0) {
		moved += n;
		while (n > 0)
			n -= MUST(splice(tube[0], NULL, file, NULL, (size_t)n, SPLICE_F_MOVE));
	}
	ct_note("moved %ld, then %zd", (long)moved, n);
	CHECK(lseek(file, 0, SEEK_SET) == 0);
	ct_note("right %d", ct_recv_pattern(file, TOTAL, 51) == TOTAL);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
