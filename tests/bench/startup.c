// SPDX-License-Identifier: MIT
/*
 * What preloading costs a program that maps nothing: starts a program again and again, in turn
 * with and without `NAME=VALUE` settings in its environment, and prints the mean and the median of
 * both, in microseconds: usage: startup RUNS PROGRAM NAME=VALUE...
 */

#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double once(char **argv, char **envp)
{
	double begin = clock_us();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, envp) != 0 ||
	    waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "startup: %s did not run\n", argv[0]);
		exit(1);
	}
	return clock_us() - begin;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	char *none[] = {NULL}, *child[] = {argc > 2 ? argv[2] : NULL, NULL};
	long runs = argc > 2 ? atol(argv[1]) : 0;
	double *times[2], sum[2] = {0, 0};

	if (argc < 4 || runs < 1) {
		fputs("usage: startup RUNS PROGRAM NAME=VALUE...\n", stderr);
		return 2;
	}
	for (int with = 0; with < 2; with++) {
		times[with] = calloc((size_t)runs, sizeof(double));
		if (!times[with])
			return 1;
	}
	for (long i = -10; i < runs; i++) {
		/* Which of the two goes first changes each time. */
		for (int k = 0; k < 2; k++) {
			int with = (int)((i + 10 + k) % 2);
			double us = once(child, with ? argv + 3 : none);

			if (i >= 0) {
				times[with][i] = us;
				sum[with] += us;
			}
		}
	}
	for (int with = 0; with < 2; with++) {
		qsort(times[with], (size_t)runs, sizeof(double), compare);
		printf("%.1f %.1f\n", sum[with] / (double)runs, times[with][runs / 2]);
	}
	return 0;
}
