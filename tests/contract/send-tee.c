/* SPDX-License-Identifier: MIT */
/* tee and vmsplice: a pipe is doubled on its way from one connection to another. */
#include "harness.h"

int main(void)
{
	static char page[4096];
	struct iovec iov = {page, 4096};
	int in[2], out[2], first[2], second[2];
	char buffer[8] = {0};

	ct_init();
	ct_pair(in);
	ct_pair(out);
	MUST(pipe(first));
	MUST(pipe(second));
	TRY(write(in[0], "hello", 5));
	ct_await(in[1], POLLIN);
	TRY(splice(in[1], NULL, first[1], NULL, 100, SPLICE_F_MOVE));
	TRY(tee(first[0], second[1], 100, 0));
	TRY(splice(first[0], NULL, out[0], NULL, 5, SPLICE_F_MORE));
	TRY(splice(second[0], NULL, out[0], NULL, 5, 0));
	TRY(ct_read_full(out[1], buffer, 5));
	ct_note("read %s", buffer);
	TRY(ct_read_full(out[1], buffer, 5));
	ct_note("read %s", buffer);
	ct_pattern(page, sizeof(page), 0, 6);
	TRY(vmsplice(first[1], &iov, 1, 0));
	TRY(splice(first[0], NULL, out[0], NULL, 4096, 0));
	ct_note("right %d", ct_recv_pattern(out[1], 4096, 6) == 4096);
	/* Nothing there, no waiting; a socket on both sides; the end. */
	ct_nonblock(in[1], true);
	TRY(splice(in[1], NULL, first[1], NULL, 100, 0));
	TRY(splice(in[1], NULL, out[0], NULL, 100, 0));
	TRY(tee(in[1], second[1], 100, 0));
	TRY(shutdown(in[0], SHUT_WR));
	ct_await(in[1], POLLRDHUP);
	TRY(splice(in[1], NULL, first[1], NULL, 100, 0));
	return 0;
}
