/* SPDX-License-Identifier: MIT */
/* Unseen processes: they run with their own copies, and their maker never hears of them. */
#include "unseen.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static volatile sig_atomic_t n_signals;
static int tube[2];
static int word = 1;

static void count(int sig)
{
	(void)sig;
	n_signals++;
}

static int begin(void **state)
{
	struct sigaction action = {.sa_handler = count};

	(void)state;
	n_signals = 0;
	return sigaction(SIGCHLD, &action, NULL) | pipe2(tube, O_CLOEXEC);
}

static int end(void **state)
{
	(void)state;
	close(tube[0]);
	return signal(SIGCHLD, SIG_DFL) == SIG_ERR;
}

/* The other side has ended, and nothing of it shows here. */
static void nobody_was_here(void)
{
	char byte;

	close(tube[1]);
	assert_int_equal(read(tube[0], &byte, 1), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(n_signals, 0);
}

static void copy(void *arg)
{
	int *value = arg;

	*value += 1; /* in the copy's memory */
	if (write(tube[1], value, sizeof(*value)) < 0)
		_exit(1);
	_exit(0);
}

static void forks(void **state)
{
	int got = 0, reaper = 0, pid = 0;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(qs_unseen_fork(copy, &word, &pid), 0);
		assert_true(pid > 0);
		assert_int_equal(read(tube[0], &got, sizeof(got)), sizeof(got));
		assert_int_equal(got, 2);
		assert_int_equal(word, 1);
	}
	assert_int_equal(prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0), 0);
	assert_int_equal(reaper, 1);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
	nobody_was_here();
}

static void execs(void **state)
{
	char shell[] = "sh", flag[] = "-c";
	char text[] = "ls /proc/self/fd | tr '\\n' ' ' >&1; cat <&0",
	     *argv[] = {shell, flag, text, NULL};
	char got[64] = {0};
	int in[2];
	size_t len = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(write(in[1], "end", 3), 3);
	close(in[1]);
	assert_int_equal(qs_unseen_exec("/bin/sh", argv, (int[]){in[0], tube[1]}), 0);
	close(in[0]);
	close(tube[1]);
	while ((n = read(tube[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	assert_string_equal(got, "0 1 2 3 end"); /* 3 is the folder that ls reads */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(n_signals, 0);
}

static void exec_fails(void **state)
{
	char *argv[] = {NULL};

	(void)state;
	assert_int_equal(qs_unseen_exec("/nowhere", argv, tube), -ENOENT);
	nobody_was_here();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(forks, begin, end),
		cmocka_unit_test_setup_teardown(execs, begin, end),
		cmocka_unit_test_setup_teardown(exec_fails, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
