/* SPDX-License-Identifier: MIT */
/* A connection passed to another process by SCM_RIGHTS: it works there and knows its names. */
#include "harness.h"

int main(void)
{
	struct ct_addr remote;
	int channel[2], pair[2], fd;
	char word[8] = {0};
	pid_t pid;

	ct_init();
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	pid = ct_fork("receiver");
	if (pid == 0) {
		fd = ct_take(channel[1]);
		ct_prove(fd);
		remote = ct_remote(fd);
		ct_note("remote %s", ct_addr_text(&remote));
		TRY(ct_read_full(fd, word, 5));
		TRY(ct_write_full(fd, word, 5));
		_exit(0);
	}
	ct_pair(pair);
	ct_give(channel[0], pair[1]);
	TRY(close(pair[1]));
	TRY(ct_write_full(pair[0], "hello", 5));
	TRY(ct_read_full(pair[0], word, 5));
	ct_note("echo %s", word);
	TRY(read(pair[0], word, 1));
	ct_reap(pid);
	return 0;
}
