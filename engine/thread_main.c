/* SPDX-License-Identifier: MIT */
/* An engine as a thread of the app (`engine = thread`): entry of libquicshim-engine.so. */
#include "engine.h"
#include "log.h"
#include "outlive.h"
#include "trap.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written by qs_engine_start_thread before the thread starts, read by it until `ready`. */
struct start {
	const struct qs_engine_start *with;
	sem_t ready;
	int result;
};

__attribute__((visibility("default"))) qs_engine_start_fn qs_engine_start_thread;

/*
 * glibc ends a process when its last thread has ended, and counts ours: a program whose threads all
 * pthread_exit() would hang. So we take ourselves out of that count, if this glibc lets us see it;
 * `by` is 1 again when the thread ends, as glibc is about to take 1 off.
 */
static _Atomic unsigned *n_threads; /* found by the host's thread: the loader's lock may be its */

static void count_thread(int by)
{
	if (n_threads != NULL && (by > 0 || atomic_load(n_threads) > 1))
		atomic_fetch_add(n_threads, (unsigned)by);
}

/* A seccomp filter of the app may forbid close_range. */
static void close_span(unsigned from, unsigned to)
{
	if (close_range(from, to, 0) < 0)
		for (unsigned fd = from; fd <= to && fd < 65536; fd++)
			close((int)fd);
}

/* A descriptor table of our own that holds but the two sockets (DESIGN D2, R3). The app's stays as
 * it is. */
static int own_table(int *stream_fd, int *control_fd)
{
	int low = *stream_fd < *control_fd ? *stream_fd : *control_fd,
	    high = *stream_fd + *control_fd - low;

	if (close_range((unsigned)high + 1, ~0u, CLOSE_RANGE_UNSHARE) < 0) {
		if (unshare(CLONE_FILES) < 0)
			return -errno;
		close_span((unsigned)high + 1, ~0u);
	}
	if (low > 0)
		close_span(0, (unsigned)low - 1);
	if (high > low + 1)
		close_span((unsigned)low + 1, (unsigned)high - 1);
	*stream_fd = fcntl(*stream_fd, F_DUPFD_CLOEXEC, 10);
	*control_fd = fcntl(*control_fd, F_DUPFD_CLOEXEC, 10);
	if (*stream_fd < 0 || *control_fd < 0)
		return -errno;
	close(low);
	close(high);
	close_span(0, 9);
	for (int fd = 0; fd < 3; fd++) {
		if (open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			return -EMFILE;
	}
	if (unshare(CLONE_FS) == 0)
		umask(0077); /* the app's chroot and chdir are not ours, where the kernel permits */
	return 0;
}

static void *thread_main(void *arg)
{
	struct start *start = arg;
	const struct qs_engine_start *with = start->with;
	static struct qs_engine engine;
	int stream_fd = with->stream_fd, control_fd = with->control_fd;
	int rv;

	if (with->thread_hook != NULL)
		with->thread_hook();
	rv = own_table(&stream_fd, &control_fd);
	prctl(PR_SET_NAME, "quicshim");
	prctl(PR_SET_TIMERSLACK,
	      1000); /* ns; the default of 50 us is longer than the pacer's gaps */
	if (rv == 0) {
		qs_log_open(with->log_path);
		rv = qs_engine_init(&engine, &with->identity, true, stream_fd, control_fd,
				    with->policy_path);
	}
	if (rv == 0 && qs_outlive_init(&engine) < 0)
		qs_log("no signalfd: the engine ends with its process");
	start->result = rv;
	if (rv == 0)
		count_thread(-1);
	sem_post(&start->ready); /* `start` is gone from here on */
	if (rv == 0) {
		qs_engine_run(&engine);
		qs_outlive_end(&engine);
		count_thread(1);
	}
	return NULL;
}

static void locate_will(void)
{
	union {
		qs_engine_start_fn *function;
		void *data;
	} here = {.function = qs_engine_start_thread};
	Dl_info info;

	if (dladdr(here.data, &info) != 0 && info.dli_fname != NULL)
		qs_will_locate(info.dli_fname, "quicshim/");
}

int qs_engine_start_thread(const struct qs_engine_start *with)
{
	struct start start = {.with = with};
	pthread_attr_t attr;
	pthread_t thread;
	int rv;

	if (with->trap_hook != NULL)
		*with->trap_hook = qs_trap_catch;
	if (with->leave_hook != NULL)
		*with->leave_hook = qs_outlive_leave;
	locate_will();
	n_threads = dlsym(RTLD_DEFAULT, "__nptl_nthreads");
	sem_init(&start.ready, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	rv = -pthread_create(&thread, &attr, thread_main, &start);
	pthread_attr_destroy(&attr);
	if (rv == 0) {
		while (sem_wait(&start.ready) < 0 && errno == EINTR)
			;
		rv = start.result;
	}
	sem_destroy(&start.ready);
	return rv;
}
