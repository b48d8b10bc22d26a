/* SPDX-License-Identifier: MIT */
/* _exit, exec and daemon: an engine thread gets the chance to go on without its process (D6). */

/*
 * Theory. What ends a process with its engine thread: exit() and whatever calls it inside libc (a
 * return from main, err(), the end of the last thread) runs our atexit handler, quick_exit() the
 * other one; both are registered when the engine starts, so they run before the destructors of all
 * libraries, and of what was registered before. _exit() and the exec family are interposed, and
 * with them daemon(), whose parent leaves by a call inside libc. The children that libc makes for
 * posix_spawn(), system() and popen() share nothing that matters here.
 *
 * An exec that can't succeed shall not drive the engine out: where the path is known it is looked
 * at first.
 */
#include "exit.h"

#include "ask.h"
#include "raw.h"
#include "real.h"
#include "state.h"

#include <alloca.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DRAIN_PAUSE_MS 10

qs_leave_fn *qs_exit_hook;

/* A filter may punish what the program did not ask for (R7). */
static bool forbidden(void)
{
	return atomic_load_explicit(&qs_state.sandboxed, memory_order_relaxed) || !qs_may_ask();
}

void qs_exit_leave(enum qs_leave how)
{
	qs_leave_fn *leave = __atomic_load_n(&qs_exit_hook, __ATOMIC_ACQUIRE);

	if (__builtin_expect(leave != NULL, 0) && !qs_state_is_engine && !forbidden())
		leave(how);
}

static atomic_bool is_init; /* this is process 1 */

/*
 * With process 1 of a namespace all others end, an engine among them: it sends what it holds before.
 * One that is not of this namespace refuses to be asked.
 */
static void drain(void)
{
	struct qs_control_req req = {.op = QS_OP_DRAIN};
	struct qs_control_reply reply = {0};
	int saved = errno;

	while (qs_ask(&req, -1, &reply, NULL, 0, false) == 0 && reply.error == EAGAIN)
		qs_sys_pause_ms(DRAIN_PAUSE_MS);
	errno = saved;
}

static void leave(void)
{
	qs_exit_leave(QS_LEAVE_EXIT);
	/* An engine thread that forked itself out before is a process of the namespace too. */
	if (__builtin_expect(atomic_load_explicit(&is_init, memory_order_relaxed), 0) &&
	    !forbidden() && qs_raw(SYS_getpid, 0, 0, 0, 0) == 1)
		drain();
}

/*
 * stdio writes its last after all exit handlers, when the engine of process 1 listens no more. So we
 * do it here, unless another thread may hold a stream's lock for long, as a blocked reader does.
 */
static void flush(void)
{
	struct stat tasks;

	if (stat("/proc/self/task", &tasks) == 0 &&
	    tasks.st_nlink <= 3u + (qs_exit_hook != NULL)) /* ".", "..", and one a thread */
		fflush(NULL);
}

static void leave_at_exit(void)
{
	if (atomic_load_explicit(&is_init, memory_order_relaxed) && !forbidden() &&
	    qs_raw(SYS_getpid, 0, 0, 0, 0) == 1)
		flush();
	leave();
}

void qs_exit_watch(void)
{
	atexit(leave_at_exit);
	at_quick_exit(leave);
}

void qs_exit_init(void)
{
	if (qs_raw(SYS_getpid, 0, 0, 0, 0) != 1)
		return;
	qs_exit_watch();
	atomic_store_explicit(&is_init, true, memory_order_relaxed);
}

QS_EXPORT void _exit(int status)
{
	leave();
	qs_real.exit_now(status);
}

QS_EXPORT void _Exit(int status)
{
	leave();
	qs_real.exit_now(status);
}

/* Not asked under a filter, which may punish the question: then the engine leaves for an exec that fails. */
static bool will_fail(int dir, const char *path)
{
	return path && !atomic_load_explicit(&qs_state.filtered, memory_order_relaxed) &&
	       (qs_raw6(SYS_faccessat2, dir, (long)path, X_OK, AT_EACCESS, 0, 0) == -EACCES ||
		qs_raw(SYS_faccessat, dir, path, F_OK, 0) < 0);
}

static void leave_to(int dir, const char *path)
{
	if (__atomic_load_n(&qs_exit_hook, __ATOMIC_ACQUIRE) == NULL || forbidden() ||
	    will_fail(dir, path))
		return;
	qs_exit_leave(QS_LEAVE_EXEC);
}

QS_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	leave_to(AT_FDCWD, path);
	return qs_real.execve(path, argv, envp);
}

QS_EXPORT int execv(const char *path, char *const argv[])
{
	leave_to(AT_FDCWD, path);
	return qs_real.execv(path, argv);
}

QS_EXPORT int execvp(const char *file, char *const argv[])
{
	leave_to(AT_FDCWD, strchr(file, '/') ? file : NULL);
	return qs_real.execvp(file, argv);
}

QS_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	leave_to(AT_FDCWD, strchr(file, '/') ? file : NULL);
	return qs_real.execvpe(file, argv, envp);
}

QS_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	leave_to(AT_FDCWD, NULL);
	return qs_real.fexecve(fd, argv, envp);
}

QS_EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	leave_to(fd, flags & AT_EMPTY_PATH ? NULL : path);
	return qs_real.execveat(fd, path, argv, envp, flags);
}

/* The words of an argument list, up to and with its NULL. */
#define COUNT(args, first, n)                                                                      \
	do {                                                                                       \
		va_start(args, first);                                                             \
		for ((n) = 1; va_arg(args, char *) != NULL; (n)++)                                 \
			;                                                                          \
		va_end(args);                                                                      \
	} while (0)

static void collect(char **argv, size_t n, const char *first, va_list *args)
{
	union {
		const char *in;
		char *out;
	} word = {.in = first};

	argv[0] = word.out;
	for (size_t i = 1; i <= n; i++)
		argv[i] = va_arg(*args, char *);
}

QS_EXPORT int execl(const char *path, const char *first, ...)
{
	va_list args;
	char **argv;
	size_t n;

	COUNT(args, first, n);
	argv = alloca((n + 1) * sizeof(*argv));
	va_start(args, first);
	collect(argv, n, first, &args);
	va_end(args);
	return execv(path, argv);
}

QS_EXPORT int execlp(const char *file, const char *first, ...)
{
	va_list args;
	char **argv;
	size_t n;

	COUNT(args, first, n);
	argv = alloca((n + 1) * sizeof(*argv));
	va_start(args, first);
	collect(argv, n, first, &args);
	va_end(args);
	return execvp(file, argv);
}

QS_EXPORT int execle(const char *path, const char *first, ...)
{
	char *const *envp;
	va_list args;
	char **argv;
	size_t n;

	COUNT(args, first, n);
	argv = alloca((n + 1) * sizeof(*argv));
	va_start(args, first);
	collect(argv, n, first, &args);
	envp = va_arg(args, char *const *);
	va_end(args);
	return execve(path, argv, envp);
}

QS_EXPORT int daemon(int nochdir, int noclose)
{
	qs_exit_leave(QS_LEAVE_EXEC);
	return qs_real.daemon(nochdir, noclose);
}
