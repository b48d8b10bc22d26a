/* SPDX-License-Identifier: MIT */
/* A listener handed on by exec as descriptor 3, as service managers do: the new program serves. */
#include "harness.h"

static void serve(void)
{
	struct ct_addr local;
	int on = 0, fd;
	socklen_t size = sizeof(on);

	ct_as("server");
	ct_prove(3);
	local = ct_local(3);
	ct_note("inherited %s", ct_addr_text(&local));
	TRY(getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &on, &size));
	ct_note("SO_ACCEPTCONN %d", on);
	fd = ct_accept(3);
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(ct_write_full(fd, "hello", 5));
}

int main(void)
{
	int listener, port, fd;
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		serve();
		return 0;
	}
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	pid = ct_fork("server");
	if (pid == 0) {
		if (listener != 3)
			MUST(dup2(listener, 3));
		MUST(fcntl(3, F_SETFD, 0));
		ct_exec_self("server");
	}
	close(listener);
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	ct_reap(pid);
	return 0;
}
