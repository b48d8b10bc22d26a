/* SPDX-License-Identifier: MIT */
/* The process that connected exits; its child goes on with the connection, and the reverse. */
#include "harness.h"

static void server(int listener)
{
	char word[5];

	for (int i = 0; i < 2; i++) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, 5) == 5);
		usleep(100000);
		CHECK(ct_write_full(fd, word, 5) == 5);
		ct_note("end %zd", read(fd, word, 1));
	}
}

static void talk(int fd)
{
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
}

static void client(int port)
{
	char byte;
	int fd, tube[2];
	pid_t pid;

	MUST(pipe(tube));
	pid = ct_fork("child");
	if (pid == 0) {
		fd = ct_connect(AF_INET, port);
		if (ct_fork("grandchild") != 0)
			_exit(0);
		usleep(100000); /* the process that connected is gone by then */
		talk(fd);
		_exit(0);
	}
	close(tube[1]);
	ct_reap(pid);
	CHECK(read(tube[0], &byte, 1) == 0);

	fd = ct_connect(AF_INET, port);
	pid = ct_fork("child");
	if (pid == 0)
		_exit(0);
	ct_reap(pid);
	talk(fd);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
