/* SPDX-License-Identifier: MIT */
/* A program that blocks every signal connects, accepts, waits and talks; what was sent stays pending. */
#include "harness.h"

static void server(int fd)
{
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, (char[8]){0}, 1));
}

static void client(int port)
{
	sigset_t pending;
	int fd;

	MUST(kill(getpid(), SIGUSR1));
	MUST(kill(getpid(), SIGCHLD));
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "hello", 5));
	ct_poll(fd, POLLIN, CT_LONG_MS);
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	close(fd);
	MUST(sigpending(&pending));
	ct_note("pending: USR1 %d, CHLD %d, PIPE %d, IO %d", sigismember(&pending, SIGUSR1),
		sigismember(&pending, SIGCHLD), sigismember(&pending, SIGPIPE),
		sigismember(&pending, SIGIO));
}

static void serve(int listener)
{
	server(ct_accept(listener));
}

int main(void)
{
	sigset_t all;

	ct_init();
	/* Before the server's thread begins: it inherits the mask. */
	sigfillset(&all);
	MUST(sigprocmask(SIG_SETMASK, &all, NULL));
	return ct_play_listen(CT_THREAD, serve, client);
}
