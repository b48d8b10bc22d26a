/* SPDX-License-Identifier: MIT */
/* A user who may not read the key: listen() is refused, where TCP would listen; connect needs none. */
#include "harness.h"

#include <grp.h>

/* With an engine of its own, of this user. */
static void be_nobody(void)
{
	struct ct_addr addr, server;
	int listener, fd, rc;

	ct_as("nobody");
	addr = ct_loopback(AF_INET, 0);
	listener = ct_socket(AF_INET, 0);
	MUST(bind(listener, SA(&addr)));
	rc = listen(listener, 5);
	ct_note("listen as it must %d",
		getenv("QS_EXPECT_MAPPED") != NULL ? rc < 0 && errno == EACCES : rc == 0);
	CHECK(ct_read_full(STDIN_FILENO, &server, sizeof(server)) == sizeof(server));
	fd = ct_socket(AF_INET, 0);
	TRY(connect(fd, SA(&server)));
	ct_prove(fd);
	ct_privileges("nobody", fd, true);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, (char[8]){0}, 1));
}

int main(void)
{
	int channel[2], listener, peer;
	struct ct_addr addr;
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		be_nobody();
		return 0;
	}
	if (geteuid() != 0)
		ct_skip("not root");
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("nobody");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		MUST(setgroups(0, NULL));
		MUST(setgid(65534));
		MUST(setuid(65534));
		unsetenv("QUICSHIM_ENGINE");
		ct_exec_self("nobody");
	}
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	CHECK(write(channel[0], &addr, sizeof(addr)) == sizeof(addr));
	peer = ct_accept(listener);
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	close(peer);
	ct_reap(pid);
	return 0;
}
