/* SPDX-License-Identifier: MIT */
/* A connection put over descriptors 0, 1 and 2: stdio, perror and a shell's output go through it. */
#include "harness.h"

static void server(int listener)
{
	int fd = ct_accept(listener), out = MUST(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 50));
	char word[8];

	close(listener);
	for (int to = 0; to <= 2; to++)
		MUST(dup2(fd, to));
	close(fd);
	CHECK(scanf("%7s", word) == 1);
	printf("%s\n", word);
	fflush(stdout);
	errno = ENOENT;
	perror("error");
	CHECK(system("echo shell") == 0);
	MUST(dup2(out, STDOUT_FILENO));
	ct_note("word %s", word);
	close(0);
	close(2);
}

static void client(int port)
{
	int fd = ct_connect(AF_INET, port);
	char text[128] = {0};

	TRY(ct_write_full(fd, "hello\n", 6));
	ct_note("read %zd", ct_read_full(fd, text, sizeof(text) - 1));
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		ct_note("line %s", line);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_FORK, server, client);
}
