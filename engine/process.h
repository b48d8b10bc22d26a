/* SPDX-License-Identifier: MIT */
/* What the kernel says of another process: who it is, whose child, and what it may do. */
#ifndef QS_PROCESS_H
#define QS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define QS_PROCESS_GROUPS_MAX 64u

struct qs_process {
	pid_t pid, parent, session;
	uint64_t started; /* with the pid it names a process for ever */
	bool zombie;
	uid_t uid[4]; /* real, effective, saved, of the file system */
	gid_t gid[4];
	gid_t groups[QS_PROCESS_GROUPS_MAX];
	unsigned n_groups; /* more than fit are left out */
	uint64_t permitted, bounding; /* capabilities */
};

/* Reads a process that lives. 0, or -ESRCH if there is none (or /proc can't tell). */
int qs_process_read(pid_t pid, struct qs_process *out);

/* The two halves of it, on the text of /proc/PID/stat and /proc/PID/status. 0 or -EINVAL. */
int qs_process_parse_stat(const char *text, struct qs_process *out);
int qs_process_parse_status(const char *text, struct qs_process *out);

/* It has no way back to another user: all four are the same. */
bool qs_process_is_settled(const struct qs_process *process);

#endif
