/* SPDX-License-Identifier: MIT */
/* stdio on connections: fread and fwrite of much, getline, dprintf, ungetc, and a write error. */
#include "harness.h"

#define TOTAL (1 << 20)

static char bulk[TOTAL], back[TOTAL];

static void server(int fd)
{
	FILE *file = fdopen(fd, "r+");
	char *line = NULL;
	size_t size = 0;

	ct_note("getline %zd", getline(&line, &size, file));
	ct_note("line %s", strncmp(line, "hello 42", 8) == 0 ? "right" : line);
	free(line);
	ct_note("fread %zu", fread(bulk, 1, TOTAL, file));
	fseek(file, 0, SEEK_CUR);
	ct_note("fwrite %zu", fwrite(bulk, 1, TOTAL, file));
	ct_note("fclose %d", fclose(file));
}

static void client(int fd)
{
	FILE *file = fdopen(MUST(dup(fd)), "r");
	int c;

	ct_note("dprintf %d", dprintf(fd, "hello %d\n", 42));
	ct_pattern(bulk, TOTAL, 0, 61);
	CHECK(ct_write_full(fd, bulk, TOTAL) == TOTAL);
	c = fgetc(file);
	ct_note("ungetc %d", ungetc(c, file) == c);
	ct_note("fread %zu", fread(back, 1, TOTAL, file));
	ct_note("right %d", memcmp(bulk, back, TOTAL) == 0);
	ct_note("fgetc %d", fgetc(file));
	ct_note("eof %d", feof(file) != 0);
	fclose(file);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_FORK, server, client);
}
