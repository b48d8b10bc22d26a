/* SPDX-License-Identifier: MIT */
/* A process that exits with much still queued, engine and all: a late reader gets every byte. */
#include "harness.h"

static void server(int fd)
{
	int64_t total;

	ct_nonblock(fd, true);
	total = ct_fill(fd, 17);
	ct_note("some queued: %d", total > 0);
	CHECK(write(atoi(getenv("CT_TUBE")), &total, sizeof(total)) == sizeof(total));
	_exit(0);
}

static int tube[2];

static void client(int fd)
{
	int64_t total = 0;

	close(tube[1]);
	CHECK(ct_read_full(tube[0], &total, sizeof(total)) == sizeof(total));
	MUST(waitid(P_PID, (id_t)ct_server_pid(), &(siginfo_t){0}, WEXITED | WNOWAIT));
	usleep(200000); /* time enough to lose things */
	ct_note("all right: %d", ct_recv_pattern(fd, total, 17) == total);
	TRY(read(fd, (char[8]){0}, 1));
}

int main(void)
{
	char number[16];

	ct_init();
	if (getenv("CT_TUBE") == NULL) {
		MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, tube));
		sprintf(number, "%d", tube[1]);
		setenv("CT_TUBE", number, 1);
	}
	return ct_play(CT_APART, server, client);
}
