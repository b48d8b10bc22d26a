/* SPDX-License-Identifier: MIT */
/* exec of a program that listens: the new one accepts, also who connected before. */
#include "harness.h"

static void echo(int fd)
{
	char word[5];

	CHECK(ct_read_full(fd, word, 5) == 5);
	CHECK(ct_write_full(fd, word, 5) == 5);
	close(fd);
}

int main(void)
{
	struct ct_addr local;
	int listener, port, fd, status;
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		ct_as("server");
		ct_prove(9);
		local = ct_local(9);
		ct_name_port(ct_addr_port(&local), "SERVER");
		ct_note("listening on %s", ct_addr_text(&local));
		echo(ct_accept(9));
		echo(ct_accept(9));
		CHECK(waitpid(-1, &status, 0) > 0 && status == 0);
		return 0;
	}
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	pid = ct_fork("client");
	if (pid == 0) {
		close(listener);
		for (int i = 0; i < 2; i++) {
			fd = ct_connect(AF_INET, port);
			TRY(ct_write_full(fd, "hello", 5));
			TRY(ct_read_full(fd, (char[8]){0}, 5));
			TRY(read(fd, (char[1]){0}, 1));
			close(fd);
		}
		return 0;
	}
	ct_await(listener, POLLIN);
	if (listener != 9)
		MUST(dup2(listener, 9));
	close(listener);
	ct_exec_self("server");
}
