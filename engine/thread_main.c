/* SPDX-License-Identifier: MIT */
/* An engine as a thread of the app (`engine = thread`): entry of libquicshim-engine.so. */
#include "engine.h"
#include "log.h"
#include "trap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
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

/* A descriptor table of our own that holds but the two sockets (DESIGN D2, R3). The app's stays as
 * it is. */
static int own_table(int *stream_fd, int *control_fd)
{
	int low = *stream_fd < *control_fd ? *stream_fd : *control_fd,
	    high = *stream_fd + *control_fd - low;

	if (close_range((unsigned)high + 1, ~0u, CLOSE_RANGE_UNSHARE) < 0) {
		if (unshare(CLONE_FILES) < 0 || close_range((unsigned)high + 1, ~0u, 0) < 0)
			return -errno;
	}
	if (low > 0)
		close_range(0, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	*stream_fd = fcntl(*stream_fd, F_DUPFD_CLOEXEC, 10);
	*control_fd = fcntl(*control_fd, F_DUPFD_CLOEXEC, 10);
	if (*stream_fd < 0 || *control_fd < 0)
		return -errno;
	close_range(0, 9, 0);
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
	start->result = rv;
	sem_post(&start->ready); /* `start` is gone from here on */
	if (rv == 0)
		qs_engine_run(&engine);
	return NULL;
}

int qs_engine_start_thread(const struct qs_engine_start *with)
{
	struct start start = {.with = with};
	pthread_attr_t attr;
	pthread_t thread;
	int rv;

	if (with->trap_hook != NULL)
		*with->trap_hook = qs_trap_catch;
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
