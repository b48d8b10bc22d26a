/* SPDX-License-Identifier: MIT */
/* No resource limit changes by listen, connect and accept: not this process's, nor what its children inherit. */
#include "harness.h"

#include <spawn.h>
#include <sys/resource.h>

extern char **environ;

struct limits {
	struct rlimit of[RLIM_NLIMITS];
};

static struct limits limits_now(void)
{
	struct limits limits = {0};

	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		MUST(getrlimit(i, &limits.of[i]));
	return limits;
}

static void compare(const char *when, const struct limits *before)
{
	struct limits now = limits_now();
	int same = 0;

	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		if (memcmp(&now.of[i], &before->of[i], sizeof(now.of[i])) == 0)
			same++;
		else
			ct_note("%s: limit %d was %ld %ld, is %ld %ld", when, i,
				(long)before->of[i].rlim_cur, (long)before->of[i].rlim_max,
				(long)now.of[i].rlim_cur, (long)now.of[i].rlim_max);
	}
	ct_note("%s: %d the same", when, same);
}

/* What a program was started with, before it has a socket of its own, and after. */
static void be_program(void)
{
	struct limits before;
	int pair[2];

	ct_as(getenv("CT_LIMITS_AS"));
	CHECK(pread(STDIN_FILENO, &before, sizeof(before), 0) == sizeof(before));
	compare("started", &before);
	ct_pair(pair);
	compare("connected", &before);
	exit(0);
}

static void run_programs(const struct limits *before)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {(char[]){"limits"}, NULL};
	int file = MUST(open("limits", O_CREAT | O_RDWR, 0600));
	pid_t pid;

	CHECK(write(file, before, sizeof(*before)) == sizeof(*before));
	setenv("CT_LIMITS_AS", "forked", 1);
	pid = ct_fork("forked");
	if (pid == 0) {
		compare("child", before);
		MUST(dup2(file, STDIN_FILENO));
		ct_exec_self("program");
	}
	ct_reap(pid);
	setenv("CT_LIMITS_AS", "spawned", 1);
	setenv("CT_ROLE", "program", 1);
	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO) == 0);
	CHECK(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
	ct_reap(pid);
	posix_spawn_file_actions_destroy(&actions);
}

int main(void)
{
	struct rlimit files = {.rlim_cur = 300, .rlim_max = 400}, core = {.rlim_max = 0};
	struct limits before;
	int listener, client, accepted;

	ct_init();
	if (ct_role() != NULL)
		be_program();
	/* Fewer than an engine may want. */
	MUST(setrlimit(RLIMIT_NOFILE, &files));
	MUST(setrlimit(RLIMIT_CORE, &core));
	before = limits_now();
	listener = ct_listener(AF_INET, 5);
	compare("listening", &before);
	client = ct_connect(AF_INET, ct_port(listener));
	compare("connected", &before);
	accepted = ct_accept(listener);
	compare("accepted", &before);
	CHECK(ct_write_full(client, "hello", 5) == 5);
	CHECK(ct_read_full(accepted, (char[8]){0}, 5) == 5);
	run_programs(&before);
	close(client);
	close(accepted);
	close(listener);
	compare("closed", &before);
	return 0;
}
