/* SPDX-License-Identifier: MIT */
/* The end of a connection comes with the last copy that is closed, whichever process has it. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_read_full(fd, (char[8]){0}, 3));
	ct_poll(fd, POLLIN | POLLRDHUP, 50);
	ct_tell();
	TRY(read(fd, (char[8]){0}, 1));
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int fd)
{
	int tube[2];
	pid_t pid;

	MUST(pipe(tube));
	pid = ct_fork("child");
	if (pid == 0) {
		close(tube[1]);
		CHECK(write(fd, "abc", 3) == 3);
		CHECK(read(tube[0], (char[8]){0}, 1) == 0);
		CHECK(write(fd, "d", 1) == 1);
		close(fd);
		_exit(0);
	}
	TRY(close(fd));
	ct_hear();
	close(tube[1]);
	ct_reap(pid);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
