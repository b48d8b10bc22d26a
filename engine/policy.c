/* SPDX-License-Identifier: MIT */
/* The policy file as a file: where it is, whether it can be trusted, the memory it lives in. */
/*
 * This is built into the preload library, so it runs inside other people's programs: libc
 * only, no heap, no streams, no locale. A policy is one anonymous mapping:
 *
 *	struct qs_policy | struct qs_rule[n] | path | the text of the file
 *
 * The parser cuts the text into strings in place, so rules need no memory of their own. The
 * mapping is made read-only before anybody else sees it: threads share it without locks, and
 * a stray write of the host program can't change where its data goes. A forked child has a
 * copy that is as good.
 *
 * Trust is checked on the opened descriptor, never by name, so nothing can be swapped in
 * between. The directory is not checked: whoever may replace the file there still cannot
 * make one that root or the user owns.
 */
#include "policy_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SHOWN 160 /* bytes of a path that a message shows */

struct qs_policy_quote qs_policy_quote(const char *s)
{
	struct qs_policy_quote quote;
	size_t len = strlen(s);

	if (len < sizeof(quote.text)) {
		memcpy(quote.text, s, len + 1);
	} else {
		memcpy(quote.text, s, sizeof(quote.text) - 4);
		memcpy(quote.text + sizeof(quote.text) - 4, "...", 4);
	}
	return quote;
}

__attribute__((format(printf, 3, 0))) static void fail_va(const struct qs_policy_place *at,
							  int line, const char *fmt, va_list ap)
{
	struct qs_policy_error *err = at->err;
	size_t size, used, path_len = strlen(at->path);
	const char *path = at->path, *cut = "";

	if (!err)
		return;
	size = sizeof(err->text);
	err->line = line;
	if (path_len > PATH_SHOWN) {
		path += path_len - PATH_SHOWN;
		cut = "...";
	}
	if (line)
		used = (size_t)snprintf(err->text, size, "%s%s:%d: ", cut, path, line);
	else
		used = (size_t)snprintf(err->text, size, "%s%s: ", cut, path);
	if (used < size)
		vsnprintf(err->text + used, size - used, fmt, ap);
	for (char *c = err->text; *c; c++) { /* one line, and no escape sequences */
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

int qs_policy_fail_line(const struct qs_policy_place *at, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_va(at, line, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int qs_policy_fail(const struct qs_policy_place *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_va(at, at->line, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Lines that open with '[': an upper bound of the rules, which sizes the arena. */
static unsigned count_sections(const char *text, size_t len)
{
	unsigned n = 0;
	bool at_start = true;

	for (size_t i = 0; i < len && n < QS_POLICY_RULES_MAX; i++) {
		if (text[i] == '\n') {
			at_start = true;
		} else if (text[i] != ' ' && text[i] != '\t') {
			n += at_start && text[i] == '[';
			at_start = false;
		}
	}
	return n;
}

int qs_policy_parse(const char *path, const char *text, size_t len, struct qs_policy **out,
		    struct qs_policy_error *err)
{
	const struct qs_policy_place at = {.path = path, .line = 0, .err = err};
	size_t path_size = strlen(path) + 1;
	struct qs_policy *policy;
	struct qs_rule *rules;
	size_t head, arena_bytes;
	unsigned n_max;
	char *copy;
	int ret;

	static_assert(sizeof(struct qs_policy) % alignof(struct qs_rule) == 0,
		      "rules follow the policy without padding");
	*out = NULL;
	if (len > QS_POLICY_BYTES_MAX)
		return qs_policy_fail(&at, "the file is larger than 1 MiB; shorten it");
	n_max = count_sections(text, len);
	head = sizeof(*policy) + n_max * sizeof(*rules);
	arena_bytes = head + path_size + len + 1;
	policy =
		mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (policy == MAP_FAILED) {
		qs_policy_fail(&at, "no memory for the policy; raise the limit of address space");
		return -ENOMEM;
	}
	rules = (struct qs_rule *)(policy + 1);
	policy->path = memcpy((char *)policy + head, path, path_size);
	policy->rules = rules;
	policy->arena_bytes = arena_bytes;
	copy = (char *)policy + head + path_size;
	if (len)
		memcpy(copy, text, len);

	ret = qs_policy_parse_text(&at, copy, len, policy, rules, n_max);
	if (ret == 0 && mprotect(policy, arena_bytes, PROT_READ) < 0) {
		ret = -ENOMEM;
		qs_policy_fail(&at, "mprotect: error %d; raise vm.max_map_count", errno);
	}
	if (ret < 0) {
		munmap(policy, arena_bytes);
		return ret;
	}
	*out = policy;
	return 0;
}

void qs_policy_free(struct qs_policy *policy)
{
	if (policy)
		munmap(policy, policy->arena_bytes);
}

static int check_trust(const struct qs_policy_place *at, int fd, uid_t euid)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int error = errno;

		qs_policy_fail(at, "can't be examined (error %d); check the file system", error);
		return -error;
	}
	if (!S_ISREG(st.st_mode)) {
		qs_policy_fail(at, "not a regular file; name a policy file");
		return -EACCES;
	}
	if (st.st_uid != 0 && st.st_uid != euid) {
		qs_policy_fail(at,
			       "not trusted: owned by uid %u; it must belong to root or to uid %u",
			       (unsigned)st.st_uid, (unsigned)euid);
		return -EACCES;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		qs_policy_fail(at, "not trusted: others may write to it (mode %04o); chmod go-w it",
			       (unsigned)(st.st_mode & 07777));
		return -EACCES;
	}
	if (st.st_size > QS_POLICY_BYTES_MAX)
		return qs_policy_fail(at, "the file is larger than 1 MiB; shorten it");
	return 0;
}

/* Read to the end of the file or to `size`, whichever comes first. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int qs_policy_load(const char *path, uid_t euid, struct qs_policy **out,
		   struct qs_policy_error *err)
{
	const struct qs_policy_place at = {.path = path, .line = 0, .err = err};
	const size_t buf_bytes = QS_POLICY_BYTES_MAX + 1; /* one more tells "too long" */
	char *buf = MAP_FAILED;
	ssize_t len;
	int fd, ret;

	*out = NULL;
	do /* O_NONBLOCK: a FIFO must not hang us */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		ret = -errno;
		qs_policy_fail(&at, "can't be opened: %s; check the path and its permissions",
			       ret == -ENOENT	? "no such file"
			       : ret == -EACCES ? "permission denied"
			       : ret == -ELOOP	? "a loop of symbolic links"
						: "the system refuses");
		return ret;
	}
	ret = check_trust(&at, fd, euid);
	if (ret < 0)
		goto out;
	buf = mmap(NULL, buf_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED) {
		ret = -ENOMEM;
		qs_policy_fail(&at, "no memory to read it; raise the limit of address space");
		goto out;
	}
	len = read_all(fd, buf, buf_bytes);
	if (len < 0) {
		ret = (int)len;
		qs_policy_fail(&at, "can't be read (error %d); check the file system", -ret);
		goto out;
	}
	ret = qs_policy_parse(path, buf, (size_t)len, out, err);
out:
	if (buf != MAP_FAILED)
		munmap(buf, buf_bytes);
	close(fd);
	return ret;
}

/* Put a path together. Returns its length, or -ENAMETOOLONG. */
static int join(char *buf, size_t size, const char *dir, const char *rest)
{
	int len = snprintf(buf, size, "%s%s", dir, rest);

	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : len;
}

/*
 * Whether a file goes by this name. What can't be told for sure counts as there, so that the
 * load fails and with it what the policy would have protected; but a home directory that we
 * may not even enter belongs to somebody else (su and setpriv keep HOME).
 */
static bool is_there(const char *path, bool in_home)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return true;
	return errno != ENOENT && errno != ENOTDIR && !(in_home && errno == EACCES);
}

int qs_policy_locate(char *buf, size_t size)
{
	const bool secure = getauxval(AT_SECURE) != 0;
	const char *file = secure ? NULL : getenv("QUICSHIM_POLICY");
	const char *config = secure ? NULL : getenv("XDG_CONFIG_HOME");
	const char *home = secure ? NULL : getenv("HOME");
	int saved = errno;
	int ret = 0;

	if (file && *file) {
		ret = join(buf, size, file, "");
		return ret < 0 ? ret : 1;
	}
	/* A relative directory is to be ignored, says the XDG base directory specification. */
	if (config && *config == '/')
		ret = join(buf, size, config, "/quicshim/policy.conf");
	else if (home && *home == '/')
		ret = join(buf, size, home, "/.config/quicshim/policy.conf");
	if (ret < 0)
		return ret;
	if (ret == 0 || !is_there(buf, true)) {
		ret = join(buf, size, QS_POLICY_SYSTEM_FILE, "");
		if (ret > 0 && !is_there(buf, false))
			ret = 0;
	}
	errno = saved;
	if (ret == 0 && size)
		buf[0] = '\0';
	return ret > 0 ? 1 : ret;
}
