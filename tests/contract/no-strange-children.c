/* SPDX-License-Identifier: MIT */
/* Connecting and listening raise no SIGCHLD and leave nothing to wait for; signals stay ours. */
#include "harness.h"

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

int main(void)
{
	struct sigaction action = {.sa_handler = count}, now;
	int pair[2], listener;
	sigset_t all, before, after;

	ct_init();
	MUST(sigaction(SIGCHLD, &action, NULL));
	ct_pair(pair);
	TRY(ct_write_full(pair[0], "hello", 5));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	usleep(200000);
	ct_note("signals %d", (int)signals);
	TRY(wait(NULL));
	TRY(waitpid(-1, NULL, WNOHANG));
	MUST(sigaction(SIGCHLD, NULL, &now));
	ct_note("handler kept %d", now.sa_handler == count);
	ct_note("children ignored %d", signal(SIGCHLD, SIG_IGN) == count);

	/* A program that blocks everything connects as well, and finds its mask as it was. */
	sigfillset(&all);
	MUST(sigprocmask(SIG_SETMASK, &all, &before));
	listener = ct_listener(AF_INET, 5);
	ct_connect(AF_INET, ct_port(listener));
	MUST(sigprocmask(SIG_SETMASK, &before, &after));
	ct_note("mask kept %d", sigismember(&after, SIGUSR1) && sigismember(&after, SIGCHLD));
	return 0;
}
