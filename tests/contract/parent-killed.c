/* SPDX-License-Identifier: MIT */
/* A connected process is killed; its child, which shared all with it, connects and listens anew. */
#include "harness.h"

static void server(int listener)
{
	char word[5];

	for (int i = 0; i < 3; i++) {
		int fd = ct_accept(listener);

		CHECK(ct_read_full(fd, word, 5) == 5);
		CHECK(ct_write_full(fd, word, 5) == 5);
		if (i > 0) /* the first one's process is killed about now */
			ct_note("end %zd", read(fd, word, 1));
		close(fd);
	}
}

static void talk(int port)
{
	int fd = ct_connect(AF_INET, port);

	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	close(fd);
}

static void child(int port, pid_t parent)
{
	int listener, fd;

	while (getppid() == parent)
		usleep(5000);
	for (int i = 0; i < 2; i++)
		talk(port);
	listener = ct_listener(AF_INET, 5);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
}

static void client(int port)
{
	int tube[2], fd, status;
	pid_t pid;

	MUST(pipe(tube));
	pid = ct_fork("parent");
	if (pid == 0) {
		pid = getpid();
		fd = ct_connect(AF_INET, port);
		CHECK(ct_write_full(fd, "hello", 5) == 5);
		CHECK(ct_read_full(fd, (char[8]){0}, 5) == 5);
		if (ct_fork("child") == 0) {
			close(fd);
			child(port, pid);
			_exit(0);
		}
		kill(getpid(), SIGKILL);
	}
	close(tube[1]);
	CHECK(waitpid(pid, &status, 0) == pid);
	ct_note("killed %d", WIFSIGNALED(status));
	CHECK(read(tube[0], &status, 1) == 0); /* the child has ended too */
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
