/* SPDX-License-Identifier: MIT */
/* Writes and reads of odd sizes that never fit each other, over two engines: order and content. */
#include "harness.h"

#define TOTAL 3000000

static char content[TOTAL];

static size_t next(unsigned *state, size_t most)
{
	*state = *state * 1103515245u + 12345u;
	return 1 + (*state >> 8) % most;
}

static void server(int fd)
{
	static char got[TOTAL + 70000];
	unsigned state = 7;
	size_t done = 0;
	ssize_t n;

	while ((n = read(fd, got + done, next(&state, 70000))) > 0)
		done += (size_t)n;
	ct_pattern(content, TOTAL, 0, 77);
	ct_note("read %zu, right %d, then %zd", done, memcmp(got, content, TOTAL) == 0, n);
}

static void client(int fd)
{
	unsigned state = 3;
	size_t done = 0;

	ct_pattern(content, TOTAL, 0, 77);
	while (done < TOTAL) {
		size_t n = next(&state, 30000);

		if (n > TOTAL - done)
			n = TOTAL - done;
		CHECK(ct_write_full(fd, content + done, n) == (ssize_t)n);
		done += n;
	}
	ct_note("written %zu", done);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
