/* SPDX-License-Identifier: MIT */
/* A filter that came by exec, of a program that is in very many groups: nothing that it punishes is called. */
#include "seccomp.h"

#include <grp.h>

/* Who may not set groups has few. */
static void join_many(void)
{
	static gid_t groups[20000];

	for (size_t i = 0; i < COUNT(groups); i++)
		groups[i] = (gid_t)(100000 + i);
	if (setgroups(COUNT(groups), groups) < 0)
		return;
}

int main(void)
{
	static const int forbidden[] = {SYS_getsockopt, SYS_setsockopt, -1};
	char role[16];
	int pair[2], fd;
	pid_t pid;

	ct_init();
	if (ct_role() != NULL && sscanf(ct_role(), "%d", &fd) == 1) {
		ct_as("filtered");
		TRY(read(fd, (char[8]){0}, 5));
		TRY(read(fd, (char[8]){0}, 5));
		TRY(send(fd, "again", 5, MSG_NOSIGNAL));
		return 0;
	}
	ct_pair(pair);
	pid = ct_fork("filtered");
	if (pid == 0) {
		join_many();
		seccomp_on(forbidden, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
		snprintf(role, sizeof(role), "%d", pair[0]);
		ct_exec_self(role);
	}
	close(pair[0]);
	TRY(ct_write_full(pair[1], "hello", 5));
	TRY(shutdown(pair[1], SHUT_WR));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	ct_reap(pid);
	return 0;
}
