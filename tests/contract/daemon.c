/* SPDX-License-Identifier: MIT */
/* A server that becomes a daemon after listen: the parents are gone, the grandchild serves. */
#include "harness.h"

int main(void)
{
	int listener, port, status, tube[2], fd;
	char word[8];
	pid_t pid;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	MUST(pipe(tube));
	pid = ct_fork("daemon");
	if (pid == 0) {
		setsid();
		if (ct_fork("daemon") != 0)
			_exit(0);
		fd = ct_accept(listener);
		CHECK(ct_read_full(fd, word, 5) == 5);
		/* The one who made the listener is dead by now. */
		TRY(getppid() != pid);
		CHECK(ct_write_full(fd, word, 5) == 5);
		close(fd);
		CHECK(write(tube[1], "x", 1) == 1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(listener);
	close(tube[1]);
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, word, 5));
	TRY(read(fd, word, 1));
	TRY(read(tube[0], word, 1));
	TRY(read(tube[0], word, 1));
	return 0;
}
