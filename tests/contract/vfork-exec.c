/* SPDX-License-Identifier: MIT */
/* vfork children of a connected program: one execs with the connection, one fails to and leaves by
 * _exit; the parent's connection is as it was. */
#include "harness.h"

static void server(int fd)
{
	char word[16] = {0};

	TRY(ct_read_full(fd, word, 12));
	ct_note("read %.5s%.6s", word, word + 6);
	TRY(ct_write_full(fd, "again", 5));
	TRY(read(fd, word, 1));
}

static void client(int fd)
{
	char name[] = "echo", word[] = "hello", *argv[] = {name, word, NULL}, text[8] = {0};
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(fd, 1);
		execvp("echo", argv);
		_exit(2);
	}
	CHECK(waitpid(-1, &status, 0) == pid);
	ct_note("status %d", status);
	pid = vfork();
	if (pid == 0) {
		execv("/nowhere", argv);
		_exit(3);
	}
	CHECK(waitpid(-1, &status, 0) == pid);
	ct_note("status %d", WEXITSTATUS(status));
	TRY(waitpid(-1, NULL, WNOHANG));
	TRY(ct_write_full(fd, " world", 6));
	TRY(ct_read_full(fd, text, 5));
	ct_note("read %s", text);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
