/* SPDX-License-Identifier: MIT */
/* A connection as standard input and output of another program, as inetd does: cat answers. */
#include "harness.h"

static void server(int fd)
{
	char name[] = "cat", *argv[] = {name, NULL};
	int status;
	pid_t pid = ct_fork("server");

	if (pid == 0) {
		MUST(dup2(fd, 0));
		MUST(dup2(fd, 1));
		close(fd);
		execvp("cat", argv);
		_exit(2);
	}
	close(fd);
	CHECK(waitpid(pid, &status, 0) == pid);
	ct_note("cat: %d", WEXITSTATUS(status));
}

static void client(int fd)
{
	char word[16] = {0};

	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, word, 5));
	ct_note("echo %s", word);
	TRY(ct_write_full(fd, "again", 5));
	TRY(shutdown(fd, SHUT_WR));
	TRY(ct_read_full(fd, word, 16));
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
