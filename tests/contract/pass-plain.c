/* SPDX-License-Identifier: MIT */
/* A connection passed by SCM_RIGHTS to a program without the preload: bytes and ends are the kernel's. */
#include "harness.h"

static void take_and_serve(int channel)
{
	char word[8];
	int fd;

	ct_as("receiver");
	fd = ct_take(channel);
	ct_events(fd, POLLIN | POLLOUT);
	TRY(ct_read_full(fd, word, 5));
	TRY(ct_write_full(fd, word, 5));
	TRY(shutdown(fd, SHUT_WR));
	TRY(read(fd, word, 1));
}

int main(void)
{
	int channel[2], pair[2];
	char word[8] = {0};
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		take_and_serve(STDIN_FILENO);
		return 0;
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("receiver");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		unsetenv("LD_PRELOAD");
		ct_exec_self("plain");
	}
	ct_pair(pair);
	ct_give(channel[0], pair[1]);
	close(pair[1]);
	TRY(ct_write_full(pair[0], "hello", 5));
	TRY(ct_read_full(pair[0], word, 5));
	TRY(read(pair[0], word, 1));
	close(pair[0]);
	ct_reap(pid);
	return 0;
}
