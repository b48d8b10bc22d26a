/* SPDX-License-Identifier: MIT */
/* Reads /proc/PID/stat and /proc/PID/status. */
#include "process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 16384
#define KEPT_MAX 1024u /* of a line that much is kept: a list of 65,536 groups has up to 700 kB */

/* What was kept is read whole: a group that is cut in two would be another one. */
static_assert(sizeof("Groups:\t") + QS_PROCESS_GROUPS_MAX * sizeof("4294967295") < KEPT_MAX,
	      "the groups that are wanted fit a line");

struct kept {
	char text[TEXT_MAX];
	size_t len, column;
};

static void keep(struct kept *kept, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n')
			kept->column = 0;
		else if (++kept->column > KEPT_MAX)
			continue;
		if (kept->len < TEXT_MAX - 1)
			kept->text[kept->len++] = data[i];
	}
	kept->text[kept->len] = '\0';
}

static int slurp(pid_t pid, const char *name, struct kept *kept)
{
	char path[48], data[4096];
	ssize_t n;
	int fd;

	kept->len = kept->column = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	while ((n = read(fd, data, sizeof(data))) > 0)
		keep(kept, data, (size_t)n);
	close(fd);
	return n < 0 || kept->len == 0 ? -ESRCH : 0;
}

int qs_process_parse_stat(const char *text, struct qs_process *out)
{
	/* The name stands in parentheses and may hold any character, parentheses too. */
	const char *at = strrchr(text, ')');
	unsigned long long started = 0;
	int parent, session;
	char state;

	if (at == NULL || sscanf(at,
				 ") %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
				 "%*d %*d %*d %llu",
				 &state, &parent, &session, &started) != 4)
		return -EINVAL;
	out->zombie = state == 'Z' || state == 'X';
	out->parent = parent;
	out->session = session;
	out->started = started;
	return 0;
}

/* Where the value of a field begins, NULL if there is none. No value can hold a line break. */
static const char *field(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1;
	}
	return NULL;
}

static bool four(const char *text, const char *name, unsigned out[4])
{
	const char *at = field(text, name);

	return at != NULL && sscanf(at, "%u %u %u %u", &out[0], &out[1], &out[2], &out[3]) == 4;
}

static bool mask(const char *text, const char *name, uint64_t *out)
{
	const char *at = field(text, name);
	unsigned long long value;

	if (at == NULL || sscanf(at, "%llx", &value) != 1)
		return false;
	*out = value;
	return true;
}

static unsigned groups(const char *text, gid_t *out)
{
	const char *at = field(text, "Groups");
	unsigned n = 0;

	while (at != NULL && n < QS_PROCESS_GROUPS_MAX) {
		char *end;

		at += strspn(at, " \t");
		out[n] = (gid_t)strtoul(at, &end, 10);
		if (end == at || *at == '\n')
			break;
		n++;
		at = end;
	}
	return n;
}

int qs_process_parse_status(const char *text, struct qs_process *out)
{
	if (!four(text, "Uid", out->uid) || !four(text, "Gid", out->gid) ||
	    !mask(text, "CapPrm", &out->permitted) || !mask(text, "CapBnd", &out->bounding))
		return -EINVAL;
	out->n_groups = groups(text, out->groups);
	return 0;
}

int qs_process_read(pid_t pid, struct qs_process *out)
{
	struct kept kept;

	memset(out, 0, sizeof(*out));
	out->pid = pid;
	if (pid <= 0 || slurp(pid, "status", &kept) < 0 ||
	    qs_process_parse_status(kept.text, out) < 0 || slurp(pid, "stat", &kept) < 0 ||
	    qs_process_parse_stat(kept.text, out) < 0 || out->zombie)
		return -ESRCH;
	return 0;
}

bool qs_process_is_settled(const struct qs_process *process)
{
	const uid_t *uid = process->uid;

	return uid[0] == uid[1] && uid[1] == uid[2] && uid[2] == uid[3];
}
