/* SPDX-License-Identifier: MIT */
/* stdio's readers: the end of a connection is told as TCP tells it. */
#ifndef __NO_INLINE__
#define __NO_INLINE__ /* else <stdio.h> defines some of them itself */
#endif
#include "end.h"
#include "real.h"
#include "state.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Theory. libc's stdio calls its own read(), which nothing can stand in front of: a reset is a clean end of file to it.
 * So the functions that read a stream are made as they are, and where one of them met the end of the file, or an error,
 * the descriptor is asked as read() asks it (end.h). If that says an error, the stream says so too: its end-of-file flag
 * becomes the error flag. Both flags are part of libc's interface: feof_unlocked() and the like are compiled into
 * programs. libc's optimised getc_unlocked() and getline() call __uflow() and __getdelim().
 *
 * Success costs a compare. Not covered: functions for wide characters, and those of libc that read a stream inside.
 * Writers can't be helped: many functions write, at any time, and by then the signal has been sent.
 */

#if !defined(_IO_EOF_SEEN) || !defined(_IO_ERR_SEEN)
#error "this libc's streams are not as we know them"
#endif
#undef fread_unlocked /* a macro of <stdio.h>, for small constant sizes */

static struct {
	size_t (*fread)(void *, size_t, size_t, FILE *);
	size_t (*fread_unlocked)(void *, size_t, size_t, FILE *);
	size_t (*fread_chk)(void *, size_t, size_t, size_t, FILE *);
	size_t (*fread_unlocked_chk)(void *, size_t, size_t, size_t, FILE *);
	char *(*fgets)(char *, int, FILE *);
	char *(*fgets_unlocked)(char *, int, FILE *);
	char *(*fgets_chk)(char *, size_t, int, FILE *);
	char *(*fgets_unlocked_chk)(char *, size_t, int, FILE *);
	int (*fgetc)(FILE *);
	int (*fgetc_unlocked)(FILE *);
	int (*getw)(FILE *);
	int (*uflow)(FILE *);
	int (*underflow)(FILE *);
	ssize_t (*getdelim)(char **, size_t *, int, FILE *);
	int (*vfscanf)(FILE *, const char *, va_list);
	int (*vfscanf_c99)(FILE *, const char *, va_list);
	int (*vfscanf_c23)(FILE *, const char *, va_list);
} real;

static atomic_bool bound;

static void bind_one(void *slot, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(slot, &found, sizeof(found));
}

void qs_stdio_bind(void)
{
	bind_one(&real.fread, "fread");
	bind_one(&real.fread_unlocked, "fread_unlocked");
	bind_one(&real.fread_chk, "__fread_chk");
	bind_one(&real.fread_unlocked_chk, "__fread_unlocked_chk");
	bind_one(&real.fgets, "fgets");
	bind_one(&real.fgets_unlocked, "fgets_unlocked");
	bind_one(&real.fgets_chk, "__fgets_chk");
	bind_one(&real.fgets_unlocked_chk, "__fgets_unlocked_chk");
	bind_one(&real.fgetc, "fgetc");
	bind_one(&real.fgetc_unlocked, "fgetc_unlocked");
	bind_one(&real.getw, "getw");
	bind_one(&real.uflow, "__uflow");
	bind_one(&real.underflow, "__underflow");
	bind_one(&real.getdelim, "getdelim");
	bind_one(&real.vfscanf, "vfscanf");
	bind_one(&real.vfscanf_c99, "__isoc99_vfscanf");
	/* Not asked for where it can't be: the failure of dlsym() allocates. */
	real.vfscanf_c23 = real.vfscanf_c99;
	if (strverscmp(gnu_get_libc_version(), "2.38") >= 0)
		bind_one(&real.vfscanf_c23, "__isoc23_vfscanf");
	atomic_store_explicit(&bound, true, memory_order_release);
}

/* Another library's constructor may read a stream before ours has run. */
static inline void ready(void)
{
	if (__builtin_expect(!atomic_load_explicit(&bound, memory_order_acquire), 0))
		qs_stdio_bind();
}

/* After a call that met an end or an error. True if the stream says error now where it said end. */
static bool tell(FILE *f)
{
	int saved = errno, fd = fileno_unlocked(f);

	errno = saved;
	if (fd < 0)
		return false;
	if (feof_unlocked(f) && qs_end_look(fd, QS_END_READ, 0) < 0) {
		f->_flags = (f->_flags & ~_IO_EOF_SEEN) | _IO_ERR_SEEN;
		return true;
	}
	/* The kernel's own errno: the right one takes its place, and counts as told. */
	if (!feof_unlocked(f) && ferror_unlocked(f) && !qs_end_is_told_as_is(errno))
		qs_end_look(fd, QS_END_READ, -1);
	return false;
}

static bool tell_locked(FILE *f)
{
	bool told;

	flockfile(f);
	told = tell(f);
	funlockfile(f);
	return told;
}

/* What the call gave does not say whether it met the end: the stream does. */
static inline bool may_have_ended(FILE *f, bool failed)
{
	return qs_may_look() && (failed || feof_unlocked(f));
}

QS_EXPORT size_t fread(void *restrict buf, size_t size, size_t n, FILE *restrict f)
{
	size_t got;

	ready();
	got = real.fread(buf, size, n, f);
	if (__builtin_expect(got < n, 0) && qs_may_look())
		tell_locked(f);
	return got;
}

QS_EXPORT size_t fread_unlocked(void *restrict buf, size_t size, size_t n, FILE *restrict f)
{
	size_t got;

	ready();
	got = real.fread_unlocked(buf, size, n, f);
	if (__builtin_expect(got < n, 0) && qs_may_look())
		tell(f);
	return got;
}

size_t __fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *f);

QS_EXPORT size_t __fread_chk(void *buf, size_t room, size_t size, size_t n, FILE *f)
{
	size_t got;

	ready();
	got = real.fread_chk(buf, room, size, n, f);
	if (__builtin_expect(got < n, 0) && qs_may_look())
		tell_locked(f);
	return got;
}

size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t n, FILE *f);

QS_EXPORT size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t n, FILE *f)
{
	size_t got;

	ready();
	got = real.fread_unlocked_chk(buf, room, size, n, f);
	if (__builtin_expect(got < n, 0) && qs_may_look())
		tell(f);
	return got;
}

/* An error makes libc's fgets() forget what it read of the line; an end of file does not. */
QS_EXPORT char *fgets(char *restrict buf, int size, FILE *restrict f)
{
	char *line;

	ready();
	line = real.fgets(buf, size, f);
	return may_have_ended(f, !line) && tell_locked(f) ? NULL : line;
}

QS_EXPORT char *fgets_unlocked(char *restrict buf, int size, FILE *restrict f)
{
	char *line;

	ready();
	line = real.fgets_unlocked(buf, size, f);
	return may_have_ended(f, !line) && tell(f) ? NULL : line;
}

char *__fgets_chk(char *buf, size_t room, int size, FILE *f);

QS_EXPORT char *__fgets_chk(char *buf, size_t room, int size, FILE *f)
{
	char *line;

	ready();
	line = real.fgets_chk(buf, room, size, f);
	return may_have_ended(f, !line) && tell_locked(f) ? NULL : line;
}

char *__fgets_unlocked_chk(char *buf, size_t room, int size, FILE *f);

QS_EXPORT char *__fgets_unlocked_chk(char *buf, size_t room, int size, FILE *f)
{
	char *line;

	ready();
	line = real.fgets_unlocked_chk(buf, room, size, f);
	return may_have_ended(f, !line) && tell(f) ? NULL : line;
}

QS_EXPORT int fgetc(FILE *f)
{
	int c;

	ready();
	c = real.fgetc(f);
	if (__builtin_expect(c == EOF, 0) && qs_may_look())
		tell_locked(f);
	return c;
}

/* libc has this one by three names; getc() is a macro in some of its versions. */
QS_EXPORT int(getc)(FILE *f)
{
	return fgetc(f);
}

int(_IO_getc)(FILE *f);

QS_EXPORT int(_IO_getc)(FILE *f)
{
	return fgetc(f);
}

QS_EXPORT int getchar(void)
{
	return fgetc(stdin);
}

QS_EXPORT int fgetc_unlocked(FILE *f)
{
	int c;

	ready();
	c = real.fgetc_unlocked(f);
	if (__builtin_expect(c == EOF, 0) && qs_may_look())
		tell(f);
	return c;
}

QS_EXPORT int(getc_unlocked)(FILE *f)
{
	return (fgetc_unlocked)(f);
}

QS_EXPORT int getchar_unlocked(void)
{
	return (fgetc_unlocked)(stdin);
}

QS_EXPORT int getw(FILE *f)
{
	int word;

	ready();
	word = real.getw(f);
	if (__builtin_expect(word == EOF, 0) && qs_may_look())
		tell_locked(f);
	return word;
}

int __uflow(FILE *f);

QS_EXPORT int __uflow(FILE *f)
{
	int c;

	ready();
	c = real.uflow(f);
	if (__builtin_expect(c == EOF, 0) && qs_may_look())
		tell(f);
	return c;
}

int __underflow(FILE *f);

QS_EXPORT int __underflow(FILE *f)
{
	int c;

	ready();
	c = real.underflow(f);
	if (__builtin_expect(c == EOF, 0) && qs_may_look())
		tell(f);
	return c;
}

static ssize_t read_up_to(char **line, size_t *room, int delimiter, FILE *f)
{
	ssize_t got;

	ready();
	got = real.getdelim(line, room, delimiter, f);
	if (may_have_ended(f, got < 0))
		tell_locked(f);
	return got;
}

QS_EXPORT ssize_t getdelim(char **restrict line, size_t *restrict room, int delimiter,
			   FILE *restrict f)
{
	return read_up_to(line, room, delimiter, f);
}

QS_EXPORT ssize_t __getdelim(char **restrict line, size_t *restrict room, int delimiter,
			     FILE *restrict f)
{
	return read_up_to(line, room, delimiter, f);
}

QS_EXPORT ssize_t getline(char **restrict line, size_t *restrict room, FILE *restrict f)
{
	return read_up_to(line, room, '\n', f);
}

/*
 * The scanf family, in the spellings of several C standards: <stdio.h> gives the plain names to one of them, so these
 * have names of their own, and libc's as labels.
 */
static int scan(int (*vfscanf_real)(FILE *, const char *, va_list), FILE *f, const char *format,
		va_list args)
{
	int n = vfscanf_real(f, format, args);

	if (may_have_ended(f, n == EOF))
		tell_locked(f);
	return n;
}

int qs_vfscanf(FILE *f, const char *format, va_list args) __asm__("vfscanf");
int qs_vscanf(const char *format, va_list args) __asm__("vscanf");
int qs_fscanf(FILE *f, const char *format, ...) __asm__("fscanf");
int qs_scanf(const char *format, ...) __asm__("scanf");

QS_EXPORT int qs_vfscanf(FILE *f, const char *format, va_list args)
{
	ready();
	return scan(real.vfscanf, f, format, args);
}

QS_EXPORT int qs_vscanf(const char *format, va_list args)
{
	return qs_vfscanf(stdin, format, args);
}

QS_EXPORT int qs_fscanf(FILE *f, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = qs_vfscanf(f, format, args);
	va_end(args);
	return n;
}

QS_EXPORT int qs_scanf(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = qs_vfscanf(stdin, format, args);
	va_end(args);
	return n;
}

int qs_vfscanf_c99(FILE *f, const char *format, va_list args) __asm__("__isoc99_vfscanf");
int qs_vscanf_c99(const char *format, va_list args) __asm__("__isoc99_vscanf");
int qs_fscanf_c99(FILE *f, const char *format, ...) __asm__("__isoc99_fscanf");
int qs_scanf_c99(const char *format, ...) __asm__("__isoc99_scanf");

QS_EXPORT int qs_vfscanf_c99(FILE *f, const char *format, va_list args)
{
	ready();
	return scan(real.vfscanf_c99, f, format, args);
}

QS_EXPORT int qs_vscanf_c99(const char *format, va_list args)
{
	return qs_vfscanf_c99(stdin, format, args);
}

QS_EXPORT int qs_fscanf_c99(FILE *f, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = qs_vfscanf_c99(f, format, args);
	va_end(args);
	return n;
}

QS_EXPORT int qs_scanf_c99(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = qs_vfscanf_c99(stdin, format, args);
	va_end(args);
	return n;
}

int qs_vfscanf_c23(FILE *f, const char *format, va_list args) __asm__("__isoc23_vfscanf");
int qs_vscanf_c23(const char *format, va_list args) __asm__("__isoc23_vscanf");
int qs_fscanf_c23(FILE *f, const char *format, ...) __asm__("__isoc23_fscanf");
int qs_scanf_c23(const char *format, ...) __asm__("__isoc23_scanf");

QS_EXPORT int qs_vfscanf_c23(FILE *f, const char *format, va_list args)
{
	ready();
	return scan(real.vfscanf_c23, f, format, args);
}

QS_EXPORT int qs_vscanf_c23(const char *format, va_list args)
{
	return qs_vfscanf_c23(stdin, format, args);
}

QS_EXPORT int qs_fscanf_c23(FILE *f, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = qs_vfscanf_c23(f, format, args);
	va_end(args);
	return n;
}

QS_EXPORT int qs_scanf_c23(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = qs_vfscanf_c23(stdin, format, args);
	va_end(args);
	return n;
}
