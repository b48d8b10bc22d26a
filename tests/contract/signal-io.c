/* SPDX-License-Identifier: MIT */
/* O_ASYNC with F_SETOWN, set before connect: SIGIO when data comes. */
#include "harness.h"

int main(void)
{
	struct timespec limit = {.tv_sec = CT_LONG};
	struct ct_addr addr;
	int listener, fd, peer;
	siginfo_t info;
	sigset_t set;

	ct_init();
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, 0);
	TRY(fcntl(fd, F_SETOWN, getpid()));
	MUST(fcntl(fd, F_SETFL, O_ASYNC));
	MUST(connect(fd, SA(&addr)));
	ct_prove(fd);
	ct_note("owner %d, async %d", fcntl(fd, F_GETOWN) == getpid(),
		(fcntl(fd, F_GETFL) & O_ASYNC) != 0);
	peer = ct_accept(listener);
	/* Whatever connect raised is not what we wait for. */
	while (sigtimedwait(&set, &info, &(struct timespec){.tv_nsec = 50000000}) > 0)
		continue;
	TRY(write(peer, "hello", 5));
	TRY(sigtimedwait(&set, &info, &limit) == SIGIO);
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	return 0;
}
