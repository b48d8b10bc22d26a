/* SPDX-License-Identifier: MIT */
/* What is written to a stream after a reset fails. */
#include "harness.h"

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

int main(void)
{
	struct linger none = {.l_onoff = 1};
	int pair[2];
	FILE *f;

	ct_init();
	signal(SIGPIPE, count);
	ct_pair(pair);
	f = fdopen(pair[0], "w");
	CHECK(f != NULL);
	setvbuf(f, NULL, _IONBF, 0);
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	MUST(close(pair[1]));
	ct_await(pair[0], POLLHUP);
	TRY(fputs("x\n", f));
	ct_note("error %d", ferror(f) != 0);
	ct_note("the first: signals %d", (int)signals);
	TRY(fputs("x\n", f));
	ct_note("the second: signals %d", (int)signals);
	TRY(fclose(f));
	return 0;
}
