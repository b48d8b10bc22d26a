/* SPDX-License-Identifier: MIT */
/* daemon(3) with a connection and a listener: its parent is gone, both go on in the child. */
#include "harness.h"

static void server(int listener)
{
	char word[5];
	int fd = ct_accept(listener);

	CHECK(ct_read_full(fd, word, 5) == 5);
	usleep(100000); /* the daemon's parent is gone by then */
	CHECK(ct_write_full(fd, word, 5) == 5);
	ct_note("end %zd", read(fd, word, 1));
}

static void client(int port)
{
	int fd, own, tube[2], status;
	char word[8];
	pid_t pid;

	MUST(pipe(tube));
	pid = ct_fork("daemon");
	if (pid == 0) {
		fd = ct_connect(AF_INET, port);
		own = ct_listener(AF_INET, 5);
		MUST(daemon(1, 1));
		TRY(ct_write_full(fd, "hello", 5));
		TRY(ct_read_full(fd, word, 5));
		close(fd);
		status = ct_port(own);
		CHECK(write(tube[1], &status, sizeof(status)) == sizeof(status));
		fd = ct_accept(own);
		TRY(ct_read_full(fd, word, 5));
		TRY(ct_write_full(fd, "hello", 5));
		_exit(0);
	}
	close(tube[1]);
	CHECK(waitpid(-1, &status, 0) == pid && status == 0);
	TRY(waitpid(-1, NULL, WNOHANG));
	CHECK(read(tube[0], &port, sizeof(port)) == sizeof(port));
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, word, 5));
	TRY(read(fd, word, 1));
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
