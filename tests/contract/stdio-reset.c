/* SPDX-License-Identifier: MIT */
/* Each of stdio's readers tells a reset, after half a line, from an end. */
#include "harness.h"

size_t __fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *f);
size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t n, FILE *f);
char *__fgets_chk(char *buf, size_t room, int size, FILE *f);
char *__fgets_unlocked_chk(char *buf, size_t room, int size, FILE *f);
int __uflow(FILE *f);
int __underflow(FILE *f);

static char buffer[64];

/* The whole half line must be read before an end is met. */
static long to_end(FILE *f, int (*get)(FILE *))
{
	long n = 0;

	while (n < 20 && get(f) != EOF)
		n++;
	return n;
}

static long by_fgetc(FILE *f)
{
	return to_end(f, fgetc);
}

static long by_getc(FILE *f)
{
	return to_end(f, getc);
}

static long by_fgetc_unlocked(FILE *f)
{
	return to_end(f, fgetc_unlocked);
}

static long by_getc_unlocked(FILE *f)
{
	return to_end(f, getc_unlocked);
}

static long by_inline(FILE *f)
{
	long n = 0;

	while (n < 20 && getc_unlocked(f) != EOF)
		n++;
	return n;
}

static long by_uflow(FILE *f)
{
	return to_end(f, __uflow);
}

static long by_underflow(FILE *f)
{
	long n = 0;

	for (; __underflow(f) != EOF && n < 20; n++)
		fgetc_unlocked(f);
	return n;
}

static long by_getw(FILE *f)
{
	return to_end(f, getw);
}

static long by_fread(FILE *f)
{
	return (long)fread(buffer, 1, sizeof(buffer), f);
}

static long by_fread_unlocked(FILE *f)
{
	return (long)fread_unlocked(buffer, 1, sizeof(buffer), f);
}

static long by_fread_chk(FILE *f)
{
	return (long)__fread_chk(buffer, sizeof(buffer), 1, 20, f);
}

static long by_fread_unlocked_chk(FILE *f)
{
	return (long)__fread_unlocked_chk(buffer, sizeof(buffer), 1, 20, f);
}

static long by_fgets(FILE *f)
{
	return fgets(buffer, sizeof(buffer), f) != NULL;
}

static long by_fgets_unlocked(FILE *f)
{
	return fgets_unlocked(buffer, sizeof(buffer), f) != NULL;
}

static long by_fgets_chk(FILE *f)
{
	return __fgets_chk(buffer, sizeof(buffer), 20, f) != NULL;
}

static long by_fgets_unlocked_chk(FILE *f)
{
	return __fgets_unlocked_chk(buffer, sizeof(buffer), 20, f) != NULL;
}

static long by_getline(FILE *f)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got = getline(&line, &room, f);

	free(line);
	return got;
}

static long by_getdelim(FILE *f)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got = getdelim(&line, &room, ';', f);

	free(line);
	return got;
}

static long by_fscanf(FILE *f)
{
	return fscanf(f, "%60s", buffer);
}

static long by_scanf(FILE *f)
{
	FILE *saved = stdin;
	long got;

	stdin = f;
	got = scanf("%60s", buffer);
	stdin = saved;
	return got;
}

static long by_getchar(FILE *f)
{
	FILE *saved = stdin;
	long n = 0;

	stdin = f;
	while (n < 20 && (n % 2 ? getchar() : getchar_unlocked()) != EOF)
		n++;
	stdin = saved;
	return n;
}

static const struct {
	const char *name;
	long (*read)(FILE *);
} readers[] = {
	{"fgetc", by_fgetc},
	{"getc", by_getc},
	{"fgetc_unlocked", by_fgetc_unlocked},
	{"getc_unlocked", by_getc_unlocked},
	{"getc_unlocked, inline", by_inline},
	{"uflow", by_uflow},
	{"underflow", by_underflow},
	{"getw", by_getw},
	{"fread", by_fread},
	{"fread_unlocked", by_fread_unlocked},
	{"fread, checked", by_fread_chk},
	{"fread_unlocked, checked", by_fread_unlocked_chk},
	{"fgets", by_fgets},
	{"fgets_unlocked", by_fgets_unlocked},
	{"fgets, checked", by_fgets_chk},
	{"fgets_unlocked, checked", by_fgets_unlocked_chk},
	{"getline", by_getline},
	{"getdelim", by_getdelim},
	{"fscanf", by_fscanf},
	{"scanf", by_scanf},
	{"getchar", by_getchar},
};

static void note(FILE *f, const char *name, const char *how, int which)
{
	int feof_before = feof(f), ferror_before = ferror(f);
	long got;

	errno = 0;
	got = readers[which].read(f);
	ct_note("%s, %s: %ld, eof %d, error %d, errno %d; before %d %d", name, how, got,
		feof(f) != 0, ferror(f) != 0, ferror(f) ? errno : 0, feof_before != 0,
		ferror_before != 0);
}

static void read_from(int which, bool reset)
{
	struct linger none = {.l_onoff = 1};
	const char *name = readers[which].name, *how = reset ? "reset" : "end";
	int pair[2];
	FILE *f;

	ct_pair(pair);
	CHECK(write(pair[1], "half", 4) == 4);
	ct_await(pair[0], POLLIN);
	if (reset)
		MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	MUST(close(pair[1]));
	ct_await(pair[0], reset ? POLLHUP : POLLRDHUP);
	f = fdopen(pair[0], "r");
	CHECK(f != NULL);
	note(f, name, how, which);
	note(f, name, how, which);
	fclose(f);
}

int main(void)
{
	ct_init();
	for (int i = 0; i < (int)COUNT(readers); i++) {
		read_from(i, true);
		read_from(i, false);
	}
	return 0;
}
