/* SPDX-License-Identifier: MIT */
/* fdopen on a connection: lines both ways, EOF. */
#include "harness.h"

static void server(int fd)
{
	FILE *file = fdopen(fd, "r+");
	char line[64];
	int n = 0;

	setvbuf(file, NULL, _IOLBF, 4096);
	while (fgets(line, sizeof(line), file) != NULL) {
		fprintf(file, "%d %s", ++n, line);
		fflush(file);
	}
	ct_note("lines %d, eof %d, error %d", n, feof(file) != 0, ferror(file) != 0);
	fclose(file);
}

static void client(int fd)
{
	FILE *in = fdopen(fd, "r"), *out = fdopen(MUST(dup(fd)), "w");
	char line[64], expected[64];
	int right = 0;

	for (int i = 1; i <= 50; i++) {
		fprintf(out, "line %d\n", i);
		fflush(out);
		snprintf(expected, sizeof(expected), "%d line %d\n", i, i);
		right += fgets(line, sizeof(line), in) != NULL && strcmp(line, expected) == 0;
	}
	ct_note("right %d", right);
	TRY(shutdown(fd, SHUT_WR));
	TRY(fclose(out));
	TRY(fgetc(in));
	ct_note("eof %d, error %d", feof(in) != 0, ferror(in) != 0);
	TRY(fclose(in));
}

int main(void)
{
	ct_init();
	return ct_play(CT_FORK, server, client);
}
