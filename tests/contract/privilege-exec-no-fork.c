/* SPDX-License-Identifier: MIT */
/* A program that may have no more processes execs another while much is on its way: nothing is lost, also where
 * an exec has failed before. */
#include "harness.h"

#include <sys/resource.h>

#define OCTETS (1024 * 1024)
#define NOBODY 65534
#define ROUNDS 8

static void server(int listener)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ct_accept(listener);

		for (uint64_t seed = 1; seed <= 2; seed++)
			ct_note("all right %d", ct_recv_pattern(fd, OCTETS, seed) == OCTETS);
		close(fd);
	}
}

/* With an engine of its own. */
static void leave(int port)
{
	struct rlimit none = {0};
	int fd = ct_connect(AF_INET, port), junk = MUST(open("junk", O_CREAT | O_WRONLY, 0755));

	CHECK(write(junk, "no program", 10) == 10);
	close(junk);

	MUST(fcntl(fd, F_SETFD, FD_CLOEXEC));
	if (geteuid() == 0) /* root has no limit */
		MUST(setresuid(NOBODY, NOBODY, NOBODY));
	MUST(setrlimit(RLIMIT_NPROC, &none));
	CHECK(ct_send_pattern(fd, OCTETS, 1) == OCTETS);
	CHECK(execl("junk", "junk", NULL) < 0 && errno == ENOEXEC); /* after which all goes on */
	CHECK(ct_send_pattern(fd, OCTETS, 2) == OCTETS);
	execl("/bin/sh", "sh", "-c", "exit 7", NULL);
	CHECK(!"exec");
}

static void client(int port)
{
	char role[16];
	int status;

	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = ct_fork("child");

		if (pid == 0) {
			unsetenv("QUICSHIM_ENGINE");
			snprintf(role, sizeof(role), "%d", port);
			ct_exec_self(role);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		ct_note("status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	}
}

int main(void)
{
	int port;

	ct_init();
	if (ct_role() != NULL && sscanf(ct_role(), "%d", &port) == 1) {
		ct_as("child");
		leave(port);
	}
	return ct_play_listen(CT_APART, server, client);
}
