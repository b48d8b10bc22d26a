/* SPDX-License-Identifier: MIT */
/* A middle child without an exit signal makes the process and ends (DESIGN R2). */

/*
 * Theory. The host may wait for any child, count its children, or have a SIGCHLD handler. A child
 * that was cloned with exit signal 0 raises none and is invisible to wait() (only __WALL and
 * __WCLONE look at such). It shares our memory, suspends this thread alone, makes the new process,
 * and ends; it is collected by its number. So the new process is an orphan when it begins. The
 * host must not be a subreaper in that moment, or it would adopt it.
 *
 * The middle child runs on a stack of its own, and with the thread pointer of the thread that is
 * suspended: errno and the trap are shared, which does no harm. The copy that qs_unseen_fork()
 * makes starts on that stack too, and stays there.
 */
#include "unseen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer's clone(), since gcc 13, takes every child for a fork: ours share the memory. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

#define GUARD 4096
#define EXEC_STACK (64 * 1024) /* of the innermost, at the low end */

struct plan {
	void (*child)(void *arg);
	void *arg;
	const char *path;
	char *const *argv;
	const int *fds;
	char *stack;
	_Atomic int error, pid;
};

static int middle_fork(void *arg)
{
	struct plan *plan = arg;
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		plan->child(plan->arg);
	else if (pid < 0)
		plan->error = errno;
	else
		plan->pid = (int)pid;
	syscall(SYS_exit, 0);
	return 0;
}

static int exec_program(void *arg)
{
	static char *const empty[] = {NULL};
	struct plan *plan = arg;
	int a = fcntl(plan->fds[0], F_DUPFD, 3), b = fcntl(plan->fds[1], F_DUPFD, 3);
	int null = open("/dev/null", O_RDWR);

	if (a < 0 || b < 0 || null < 0 || dup2(a, 0) < 0 || dup2(b, 1) < 0 || dup2(null, 2) < 0)
		plan->error = EMFILE;
	syscall(SYS_setsid);
	syscall(SYS_close_range, 3u, ~0u, 0u);
	if (plan->error == 0 && syscall(SYS_execve, plan->path, plan->argv, empty) < 0)
		plan->error = errno;
	syscall(SYS_exit, 127);
	return 0;
}

static int middle_exec(void *arg)
{
	struct plan *plan = arg;

	/* Returns when the innermost has called execve or ended. */
	if (clone(exec_program, plan->stack + GUARD + EXEC_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
		  plan) < 0)
		plan->error = errno;
	syscall(SYS_exit, 0);
	return 0;
}

static int run(struct plan *plan, int (*middle)(void *))
{
	size_t bytes = GUARD + QS_UNSEEN_STACK;
	sigset_t all, before;
	int reaper = 0, pid;

	plan->stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (plan->stack == MAP_FAILED)
		return -ENOMEM;
	mprotect(plan->stack, GUARD, PROT_NONE);
	/* The middle child would run the host's handlers in the host's memory. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper, 0, 0, 0);
	if (reaper)
		prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	pid = clone(middle, plan->stack + bytes, CLONE_VM | CLONE_VFORK, plan);
	if (pid < 0)
		plan->error = errno;
	else
		while (syscall(SYS_wait4, pid, NULL, __WALL, NULL) < 0 && errno == EINTR)
			;
	if (reaper)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(plan->stack, bytes);
	return -plan->error;
}

int qs_unseen_fork(void (*child)(void *arg), void *arg, int *pid)
{
	struct plan plan = {.child = child, .arg = arg};
	int rv = run(&plan, middle_fork);

	*pid = plan.pid;
	return rv;
}

int qs_unseen_exec(const char *path, char *const argv[], const int fds[2])
{
	struct plan plan = {.path = path, .argv = argv, .fds = fds};

	return run(&plan, middle_exec);
}
