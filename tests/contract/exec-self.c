/* SPDX-License-Identifier: MIT */
/* exec of the connected process itself: the new program finds the connection with its names. */
#include "harness.h"

static void after(int fd)
{
	struct ct_addr local, remote;
	int nodelay = 0;
	socklen_t size = sizeof(nodelay);

	ct_as("client");
	ct_prove(fd);
	local = ct_local(fd);
	remote = ct_remote(fd);
	ct_note("local %s remote %s", ct_addr_text(&local), ct_addr_text(&remote));
	TRY(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size));
	ct_note("TCP_NODELAY %d", nodelay);
	ct_so_error(fd);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(read(fd, (char[8]){0}, 1));
}

static void server(int fd)
{
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(ct_write_full(fd, "hello", 5));
	close(fd);
}

int main(void)
{
	int listener, fd, on = 1;
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		after(atoi(ct_role()));
		CHECK(waitpid(-1, &on, 0) > 0 && on == 0);
		return 0;
	}
	listener = ct_listener(AF_INET, 5);
	pid = ct_fork("server");
	if (pid == 0) {
		server(ct_accept(listener));
		return 0;
	}
	fd = ct_connect(AF_INET, ct_port(listener));
	close(listener);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	if (fd != 9)
		MUST(dup2(fd, 9));
	ct_exec_self("9");
}
