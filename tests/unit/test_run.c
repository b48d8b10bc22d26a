/* SPDX-License-Identifier: MIT */
/* quicshim-run: which programs it warns about, and where it finds them. */
#include "run_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct image {
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph[2];
	char rest[64];
};

static struct image image_make(const char *interpreter)
{
	struct image m = {0};

	memcpy(m.eh.e_ident, ELFMAG, SELFMAG);
	m.eh.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	m.eh.e_phoff = offsetof(struct image, ph);
	m.eh.e_phentsize = sizeof(m.ph[0]);
	m.eh.e_phnum = 2;
	m.ph[0].p_type = PT_LOAD;
	m.ph[1].p_type = PT_LOAD;
	if (interpreter) {
		m.ph[0].p_type = PT_INTERP;
		m.ph[0].p_offset = offsetof(struct image, rest);
		m.ph[0].p_filesz = strlen(interpreter) + 1;
		memcpy(m.rest, interpreter, strlen(interpreter) + 1);
	}
	return m;
}

static const char *judge(const void *data, size_t len)
{
	int fd = memfd_create("program", MFD_CLOEXEC);
	const char *obstacle;
	char path[64];

	assert_int_equal(write(fd, data, len), len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	obstacle = qs_command_obstacle(path);
	close(fd);
	return obstacle;
}

static void ordinary_programs_have_no_obstacle(void **state)
{
	struct image m = image_make("/lib64/ld-linux-x86-64.so.2");

	(void)state;
	assert_null(judge(&m, sizeof(m)));
	assert_null(judge("#!/bin/sh\necho\n", 15));
	assert_null(judge("#!/nonexistent/interpreter\n", 27));
	assert_null(judge("", 0));
	assert_null(judge("#!", 2));
	assert_null(qs_command_obstacle("/bin/sh"));
	assert_null(qs_command_obstacle("/nonexistent"));
	assert_null(qs_command_obstacle("/"));
	/* A device would block or tell nothing. */
	assert_null(qs_command_obstacle("/dev/null"));
}

static void unfit_programs_are_named(void **state)
{
	static const struct {
		ElfW(Nhdr) head;
		char name[4], id[4];
	} note = {{4, 4, 4}, "Go", "id"};
	struct image m = image_make(NULL);

	(void)state;
	assert_non_null(strstr(judge(&m, sizeof(m)), "statically"));
	m = image_make("/lib/ld-musl-x86_64.so.1");
	assert_non_null(strstr(judge(&m, sizeof(m)), "musl"));
	m.eh.e_ident[EI_CLASS] ^= 3;
	assert_non_null(strstr(judge(&m, sizeof(m)), "word size"));
	m = image_make("/l/ld.so");
	memcpy(m.rest + 16, &note, sizeof(note));
	m.ph[1].p_type = PT_NOTE;
	m.ph[1].p_offset = offsetof(struct image, rest) + 16;
	m.ph[1].p_filesz = sizeof(note);
	assert_non_null(strstr(judge(&m, sizeof(m)), "Go"));
}

static void broken_files_are_harmless(void **state)
{
	struct image whole = image_make("/l/ld.so"), m;

	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++)
		judge(&whole, len);
	for (size_t i = 0; i < offsetof(struct image, rest); i++) {
		m = whole;
		m.ph[1].p_type = PT_NOTE;
		m.ph[1].p_filesz = 64;
		memset((char *)&m + i, 0xff, sizeof(m) - i < 8 ? sizeof(m) - i : 8);
		judge(&m, sizeof(m));
	}
}

static void setuid_programs_are_named(void **state)
{
	char path[] = "/tmp/test_run.XXXXXX";
	int fd = mkstemp(path);
	const char *obstacle;

	(void)state;
	assert_true(fd >= 0);
	/* Only what belongs to another user changes the user. */
	if (geteuid() != 0 || fchown(fd, 1, 1) < 0) {
		close(fd);
		unlink(path);
		skip();
	}
	assert_int_equal(fchmod(fd, 04755), 0);
	obstacle = qs_command_obstacle(path);
	close(fd);
	unlink(path);
	assert_non_null(obstacle);
	assert_non_null(strstr(obstacle, "setuid"));
}

static void commands_are_found_as_execvp_does(void **state)
{
	char out[PATH_MAX];

	(void)state;
	setenv("PATH", "/nonexistent:/bin", 1);
	assert_int_equal(qs_command_find("sh", out, sizeof(out)), 0);
	assert_string_equal(out, "/bin/sh");
	assert_int_equal(qs_command_find("/bin/sh", out, sizeof(out)), 0);
	assert_int_equal(qs_command_find("no-such-command", out, sizeof(out)), -ENOENT);
	assert_int_equal(qs_command_find("", out, sizeof(out)), -ENOENT);
	assert_int_equal(qs_command_find("/etc/passwd", out, sizeof(out)), -EACCES);
	assert_int_equal(qs_command_find("/bin/sh", out, 4), -ENAMETOOLONG);
	unsetenv("PATH");
	assert_int_equal(qs_command_find("sh", out, sizeof(out)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_programs_have_no_obstacle),
		cmocka_unit_test(unfit_programs_are_named),
		cmocka_unit_test(broken_files_are_harmless),
		cmocka_unit_test(setuid_programs_are_named),
		cmocka_unit_test(commands_are_found_as_execvp_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
