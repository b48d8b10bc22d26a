/* SPDX-License-Identifier: MIT */
/* Looks at a program file: can a preload library work in it? */
#include "run_parts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH 4 /* the kernel's limit for scripts that name scripts */
#define HEADERS_MAX 64
#define SEGMENT_MAX 4096

#if __SIZEOF_POINTER__ == 8
#define OUR_CLASS ELFCLASS64
#else
#define OUR_CLASS ELFCLASS32
#endif

static bool read_at(int fd, void *buf, size_t size, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, buf, size, (off_t)offset) == (ssize_t)size;
}

static bool is_musl(int fd, const ElfW(Phdr) * ph)
{
	char name[PATH_MAX + 1] = "";

	if (ph->p_filesz > PATH_MAX || !read_at(fd, name, ph->p_filesz, ph->p_offset))
		return false;
	return strstr(name, "/ld-musl-") != NULL;
}

/* The Go linker leaves a note of its own: owner "Go", type 4, the build id. */
static bool is_go(int fd, const ElfW(Phdr) * ph)
{
	unsigned char note[SEGMENT_MAX];
	size_t size = ph->p_filesz < sizeof(note) ? ph->p_filesz : sizeof(note), at = 0;

	if (!read_at(fd, note, size, ph->p_offset))
		return false;
	while (size - at >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) n;
		size_t name, desc;

		memcpy(&n, note + at, sizeof(n));
		at += sizeof(n);
		if (n.n_namesz > SEGMENT_MAX || n.n_descsz > SEGMENT_MAX)
			return false;
		name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)n.n_descsz + 3) & ~(size_t)3;
		if (name > size - at)
			return false;
		if (n.n_type == 4 && n.n_namesz == 4 && memcmp(note + at, "Go\0", 4) == 0)
			return true;
		at += name;
		if (desc > size - at)
			return false;
		at += desc;
	}
	return false;
}

static const char *elf_obstacle(int fd)
{
	bool interpreter = false, musl = false, go = false;
	unsigned char ident[EI_NIDENT];
	ElfW(Ehdr) eh;

	if (!read_at(fd, ident, sizeof(ident), 0) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return NULL;
	if (ident[EI_CLASS] != OUR_CLASS)
		return "is for another word size than libquicshim.so, which it therefore can't "
		       "load";
	if (!read_at(fd, &eh, sizeof(eh), 0) || eh.e_phentsize != sizeof(ElfW(Phdr)))
		return NULL;
	for (unsigned i = 0; i < eh.e_phnum && i < HEADERS_MAX; i++) {
		ElfW(Phdr) ph;

		if (!read_at(fd, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)))
			return NULL;
		if (ph.p_type == PT_INTERP) {
			interpreter = true;
			musl = is_musl(fd, &ph);
		} else if (ph.p_type == PT_NOTE) {
			go |= is_go(fd, &ph);
		}
	}
	if (go)
		return "is a Go program, which calls the kernel past libc: nothing of it travels "
		       "over QUIC";
	if (!interpreter)
		return "is statically linked, so no library can be preloaded into it";
	if (musl)
		return "is linked with musl, and libquicshim.so needs glibc";
	return NULL;
}

/* The kernel marks such a program as secure, and the loader then takes no path in LD_PRELOAD. */
static bool gains_privilege(int fd, const struct stat *st)
{
	if ((st->st_mode & S_ISUID) && st->st_uid != getuid())
		return true;
	if ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getgid())
		return true;
	return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* Reads "#! interpreter argument". */
static bool script_interpreter(int fd, char *out, size_t size)
{
	char line[256] = "";
	char *at, *end;

	if (pread(fd, line, sizeof(line) - 1, 0) < 3 || line[0] != '#' || line[1] != '!')
		return false;
	at = line + 2 + strspn(line + 2, " \t");
	end = at + strcspn(at, " \t\n");
	*end = '\0';
	return at[0] == '/' && (size_t)snprintf(out, size, "%s", at) < size;
}

const char *qs_command_obstacle(const char *path)
{
	char file[PATH_MAX];
	const char *found = NULL;

	if ((size_t)snprintf(file, sizeof(file), "%s", path) >= sizeof(file))
		return NULL;
	for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
		int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		bool script = false;
		struct stat st;

		if (fd < 0)
			return NULL;
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
			script = script_interpreter(fd, file, sizeof(file));
			if (!script && gains_privilege(fd, &st))
				found = "is setuid, setgid or has file capabilities, so the loader "
					"preloads nothing into it";
			else if (!script)
				found = elf_obstacle(fd);
		}
		close(fd);
		if (!script)
			return found;
	}
	return NULL;
}
