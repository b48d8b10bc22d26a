/* SPDX-License-Identifier: MIT */
/* fork with a connection open: both sides of the fork use it, and it ends when both closed it. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_read_full(fd, (char[16]){0}, 6));
	TRY(ct_write_full(fd, "parentchild!", 12));
	TRY(ct_read_full(fd, (char[16]){0}, 4));
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int fd)
{
	char text[8] = {0};
	struct ct_addr remote;
	pid_t pid;

	pid = ct_fork("child");
	if (pid == 0) {
		ct_prove(fd);
		remote = ct_remote(fd);
		ct_note("remote %s", ct_addr_text(&remote));
		TRY(ct_write_full(fd, "child!", 6));
		_exit(0);
	}
	TRY(ct_read_full(fd, text, 6));
	ct_note("read %s", text);
	ct_reap(pid);
	pid = ct_fork("second");
	if (pid == 0) {
		TRY(ct_read_full(fd, text, 6));
		ct_note("read %s", text);
		TRY(close(fd));
		_exit(0);
	}
	ct_reap(pid);
	/* Closed in the child only. */
	TRY(ct_write_full(fd, "last", 4));
	TRY(close(fd));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
