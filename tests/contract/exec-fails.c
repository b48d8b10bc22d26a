/* SPDX-License-Identifier: MIT */
/* An execve that fails: the connection, the listener and new connections go on as before, and the
 * program has no child that it did not make. */
#include "harness.h"

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

int main(void)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
	char name[] = "none", *argv[] = {name, NULL}, *env[] = {NULL};
	int listener, a, b, fd;

	ct_init();
	MUST(sigaction(SIGCHLD, &action, NULL));
	listener = ct_listener(AF_INET, 5);
	a = ct_connect(AF_INET, ct_port(listener));
	b = ct_accept(listener);
	fd = open("program", O_CREAT | O_WRONLY, 0700);
	CHECK(fd >= 0 && write(fd, "\177ELF", 4) == 4);
	close(fd);
	for (int i = 0; i < 3; i++) {
		TRY(execve("program", argv, env));
		TRY(execl("missing", "none", NULL));
		TRY(ct_write_full(a, "hello", 5));
		TRY(ct_read_full(b, (char[8]){0}, 5));
		TRY(wait(NULL));
	}
	a = ct_connect(AF_INET, ct_port(listener));
	b = ct_accept(listener);
	TRY(ct_write_full(b, "hello", 5));
	TRY(ct_read_full(a, (char[8]){0}, 5));
	TRY(waitpid(-1, NULL, WNOHANG));
	ct_note("signals %d", (int)signals);
	return 0;
}
