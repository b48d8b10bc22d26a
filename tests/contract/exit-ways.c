/* SPDX-License-Identifier: MIT */
/* Every way to end a process while much is on its way, each with an engine of its own: nothing is
 * lost, the exit status is the program's, and its parent waits for it and nobody else. */
#include "harness.h"

#include <err.h>
#include <spawn.h>
#include <sys/syscall.h>

#define OCTETS (256 * 1024)

static const char *const ways[] = {"return",	  "exit", "_exit",	"_Exit",
				   "quick_exit",  "errx", "exit_group", "thread",
				   "last-thread", "exec", "spawn",	"busy"};

static void server(int listener)
{
	for (size_t i = 0; i < COUNT(ways); i++) {
		int fd = ct_accept(listener);

		ct_hear(); /* the client's process is no more */
		ct_note("%s: all right %d", ways[i], ct_recv_pattern(fd, OCTETS, i) == OCTETS);
		TRY(read(fd, (char[1]){0}, 1));
		close(fd);
	}
}

static void *exit_from_thread(void *unused)
{
	(void)unused;
	exit(7);
}

/* Mostly holds the allocator's lock: of its only arena, see client(). */
static void *allocate(void *unused)
{
	for (;;) {
		void *volatile got = malloc(3000);

		free(got);
	}
	return unused;
}

static void *end_last(void *main_thread)
{
	(void)main_thread;
	usleep(50000);
	return NULL;
}

static int leave(const char *way)
{
	char shell[] = "sh", flag[] = "-c", text[] = "exit 7", *argv[] = {shell, flag, text, NULL};
	char nap[] = "sleep 0.2", *nap_argv[] = {shell, flag, nap, NULL}, *no_env[] = {NULL};
	pthread_t thread;
	pid_t pid;

	if (!strcmp(way, "exit"))
		exit(7);
	if (!strcmp(way, "_exit"))
		_exit(7);
	if (!strcmp(way, "_Exit"))
		_Exit(7);
	if (!strcmp(way, "quick_exit"))
		quick_exit(7);
	if (!strcmp(way, "errx"))
		errx(7, "on purpose");
	if (!strcmp(way, "exit_group"))
		syscall(SYS_exit_group, 7);
	if (!strcmp(way, "thread")) {
		MUST(pthread_create(&thread, NULL, exit_from_thread, NULL));
		for (;;)
			pause();
	}
	if (!strcmp(way, "last-thread")) {
		MUST(pthread_create(&thread, NULL, end_last, NULL));
		pthread_exit(NULL); /* status 0 */
	}
	if (!strcmp(way, "exec"))
		execve("/bin/sh", argv, no_env);
	if (!strcmp(way, "busy"))
		for (int i = 0; i < 3; i++)
			MUST(pthread_create(&thread, NULL, allocate, NULL));
	/* The child has the connection for a while longer. */
	if (!strcmp(way, "spawn"))
		MUST(posix_spawn(&pid, "/bin/sh", NULL, NULL, nap_argv, no_env));
	return 7;
}

static void client(int port)
{
	char role[64];

	for (size_t i = 0; i < COUNT(ways); i++) {
		pid_t pid = ct_fork("child");
		int status;

		if (pid == 0) {
			unsetenv("QUICSHIM_ENGINE");
			if (!strcmp(ways[i], "busy"))
				setenv("MALLOC_ARENA_MAX", "1", 1);
			snprintf(role, sizeof(role), "%zu %d", i, port);
			ct_exec_self(role);
		}
		CHECK(waitpid(-1, &status, 0) == pid);
		ct_note("%s: status %d", ways[i],
			WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
		TRY(waitpid(-1, NULL, WNOHANG)); /* the server is a child */
		ct_tell();
	}
}

int main(void)
{
	size_t way;
	int port;

	ct_init();
	if (ct_role() != NULL && sscanf(ct_role(), "%zu %d", &way, &port) == 2) {
		int fd = ct_connect(AF_INET, port);

		CHECK(ct_send_pattern(fd, OCTETS, way) == OCTETS);
		return leave(ways[way]);
	}
	return ct_play_listen(CT_APART, server, client);
}
