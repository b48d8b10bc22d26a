/* SPDX-License-Identifier: MIT */
/* A signal handler that connects interrupts fork(), again and again. */
#include "harness.h"

#include <sys/time.h>

#define FORKS 300

static struct ct_addr server;
static volatile sig_atomic_t handled, failed;

static void connect_and_ask(int number)
{
	int saved = errno, fd = socket(AF_INET, SOCK_STREAM, 0);
	char c = 'x';

	(void)number;
	if (fd < 0 || connect(fd, SA(&server)) < 0 || send(fd, &c, 1, 0) != 1 ||
	    recv(fd, &c, 1, 0) != 1)
		failed++;
	close(fd);
	handled++;
	errno = saved;
}

static void *serve(void *argument)
{
	int *listener = argument, fd;
	char c;

	while ((fd = accept(*listener, NULL, NULL)) >= 0) {
		if (recv(fd, &c, 1, 0) == 1)
			send(fd, &c, 1, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

int main(void)
{
	struct sigaction action = {.sa_handler = connect_and_ask, .sa_flags = SA_RESTART};
	int listener, before = 0;
	sigset_t alarm, mask;

	ct_init();
	listener = ct_listener(AF_INET, 100);
	server = ct_local(listener);
	ct_prove(listener);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGUSR1);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	ct_thread(serve, &listener);
	sigdelset(&alarm, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	MUST(sigaction(SIGALRM, &action, NULL));
	connect_and_ask(SIGALRM); /* there is an engine from now on */
	for (int i = 0; i < FORKS; i++) {
		/* From before the fork to after it. */
		struct itimerval once = {.it_value.tv_usec = 1 + i % 30 * 20};
		pid_t pid;

		before = handled;
		MUST(setitimer(ITIMER_REAL, &once, NULL));
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			/* The mask is as it was, in the child too. */
			sigprocmask(SIG_BLOCK, NULL, &mask);
			_exit(!sigismember(&mask, SIGUSR1) || sigismember(&mask, SIGALRM) ||
			      sigismember(&mask, SIGTERM));
		}
		ct_reap(pid);
		while (handled == before)
			usleep(100);
	}
	sigprocmask(SIG_BLOCK, NULL, &mask);
	ct_note("handled %d, failed %d, still blocked: %d %d %d", (int)handled, (int)failed,
		sigismember(&mask, SIGUSR1), sigismember(&mask, SIGALRM),
		sigismember(&mask, SIGTERM));
	return 0;
}
