/* SPDX-License-Identifier: MIT */
/* posix_spawn with file actions puts a connection on standard output; popen works beside it. */
#include "harness.h"

#include <spawn.h>

extern char **environ;

int main(void)
{
	char name[] = "echo", word[] = "hello", *argv[] = {name, word, NULL}, line[16] = {0};
	posix_spawn_file_actions_t actions;
	int pair[2], status;
	FILE *command;
	pid_t pid;

	ct_init();
	ct_pair(pair);
	MUST(fcntl(pair[0], F_SETFD, FD_CLOEXEC));
	MUST(fcntl(pair[1], F_SETFD, FD_CLOEXEC));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], 1);
	TRY(posix_spawnp(&pid, "echo", &actions, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&actions);
	CHECK(waitpid(pid, &status, 0) == pid);
	ct_note("status %d", status);
	close(pair[1]);
	TRY(ct_read_full(pair[0], line, sizeof(line)));
	ct_note("read %.5s", line);
	command = popen("echo popen", "re");
	CHECK(command != NULL && fgets(line, sizeof(line), command) != NULL);
	ct_note("read %.5s", line);
	TRY(pclose(command));
	TRY(wait(NULL));
	return 0;
}
