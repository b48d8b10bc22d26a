/* SPDX-License-Identifier: MIT */
/* The first process of a PID namespace exits, and with it all others there: what it wrote arrives. */
#include "harness.h"

#include <sched.h>
#include <sys/mount.h>

#define OCTETS (256 * 1024)

static const char *const ways[] = {"return", "_exit", "child", "stdio"};

static void server(int listener)
{
	for (size_t i = 0; i < COUNT(ways); i++) {
		int fd = ct_accept(listener);

		ct_hear(); /* the namespace is no more */
		ct_note("%s: all right %d", ways[i], ct_recv_pattern(fd, OCTETS, i) == OCTETS);
		TRY(read(fd, (char[1]){0}, 1));
		close(fd);
	}
}

static int write_all(size_t way, int port)
{
	CHECK(ct_send_pattern(ct_connect(AF_INET, port), OCTETS, way) == OCTETS);
	return 7;
}

/* In the new namespace, as its first process. */
static int first(size_t way, int port)
{
	if (!strcmp(ways[way], "child")) { /* the one who wrote is gone before */
		pid_t pid = ct_fork("child");
		int status;

		if (pid == 0)
			_exit(write_all(way, port));
		CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
		return 7;
	}
	if (!strcmp(ways[way], "stdio")) { /* written when all exit handlers have run */
		static char buffer[OCTETS], text[OCTETS];
		FILE *stream = fdopen(ct_connect(AF_INET, port), "w");

		setvbuf(stream, buffer, _IOFBF, sizeof(buffer));
		ct_pattern(text, sizeof(text), 0, way);
		CHECK(fwrite(text, sizeof(text), 1, stream) == 1);
		return 7;
	}
	write_all(way, port);
	if (!strcmp(ways[way], "_exit"))
		_exit(7);
	return 7;
}

/* A process whose children live in a namespace of their own, with a /proc of their own. */
static void enter(size_t way, int port)
{
	char role[64];
	int status;
	pid_t pid;

	MUST(unshare(CLONE_NEWPID | CLONE_NEWNS));
	pid = ct_fork("init");
	if (pid == 0) {
		MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
		MUST(mount("proc", "/proc", "proc", 0, NULL));
		unsetenv("QUICSHIM_ENGINE");
		snprintf(role, sizeof(role), "%zu %d", way, port);
		ct_exec_self(role);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

static void client(int port)
{
	for (size_t i = 0; i < COUNT(ways); i++) {
		pid_t pid = ct_fork("keeper");
		int status;

		if (pid == 0)
			enter(i, port);
		CHECK(waitpid(pid, &status, 0) == pid);
		ct_note("%s: status %d", ways[i], WEXITSTATUS(status));
		ct_tell();
	}
}

/* Whether this machine lets us. */
static bool permitted(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
			_exit(1);
		pid = fork();
		if (pid == 0)
			_exit(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			      mount("proc", "/proc", "proc", 0, NULL) < 0);
		_exit(waitpid(pid, &status, 0) != pid || status != 0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	size_t way;
	int port;

	ct_init();
	if (ct_role() != NULL && sscanf(ct_role(), "%zu %d", &way, &port) == 2)
		return first(way, port);
	if (ct_role() == NULL && !permitted())
		ct_skip("no PID namespace can be made here");
	return ct_play_listen(CT_APART, server, client);
}
