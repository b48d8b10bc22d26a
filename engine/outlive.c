/* SPDX-License-Identifier: MIT */
/* An engine thread that goes on without its process: the host is about to exit or to exec. */

/*
 * Theory. The shim calls qs_outlive_leave() on the host's thread that is about to end the process.
 * That thread raises a signal that is blocked in the engine's thread and watched by a signalfd in
 * its epoll set, and waits on a futex: no descriptor, no name and no lock of the host is needed, so
 * it works at the descriptor limit, after chroot and in a signal handler. At the end of a turn,
 * when nothing is half done, the engine either
 *	- has nothing to serve: it closes its connections and ends;
 *	- forks unseen (unseen.h): the copy has the engine's memory and descriptors, and goes on as a
 *	  process of its own, under the same names. This process's engine gives up its descriptors
 *	  and never writes again; should the execve then fail, the host asks the copy from then on;
 *	- can't fork, or is part of process 1, with which everything else ends: it *drains*: what the
 *	  apps wrote is sent and acknowledged first, for at most the policy's linger. Before an
 *	  execve nothing is shut down for that, since it may fail for the same want as the fork.
 *
 * The fork is the bare system call. No atfork handler runs, so no lock of the host can block it;
 * and in the copy a lock that another thread of the host held stays locked. The engine's own
 * libraries have none that other threads use, but for malloc's: glibc may have put several threads on
 * one arena (MALLOC_ARENA_MAX, many threads). So the copy first allocates and frees, and says that it
 * could by taking a word in shared memory from BORN to READY; without that in time the parent takes it
 * to DEAD, ends the copy, which has touched nothing yet, and makes another one. Only one of the two
 * can take it, so there are never two who write packets. Should a copy hang later, an alarm ends it,
 * and its peers are told by the last will: the second one in a row without a sweep between, since a
 * process that was stopped for long must not be ended on waking.
 *
 * In the copy nothing of the host may run: all signals get their default action, its destructors
 * are never called (we leave by _exit), and its shared mappings are given up: System V segments
 * count those who are attached, and postgres does not start while somebody is.
 */
#include "outlive.h"

#include "drain.h"
#include "log.h"
#include "rlimit.h"
#include "unseen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL SIGSTKFLT /* nobody has sent it since the 8087: not the app either */
#define SLICE_NS (100 * QS_MSEC)
/* More than COPIES take; of the host's thread, unless we drain. */
#define PATIENCE_NS (10 * QS_NSEC)

#define FLUSH_NS (5 * QS_NSEC) /* with what COPIES take less than the patience */

#define COPIES 6
#define COPY_NS (400 * QS_MSEC) /* to show that it can allocate */
#define ALARM_S 20 /* without a sweep */
#define ALARM_AGAIN_S 5

enum state { HERE, DRAINING, GONE };
enum copy { BORN, READY, DEAD };

static struct {
	struct qs_source source; /* signalfd */
	struct qs_engine *engine;
	int pid, tid; /* of the host, of the engine's thread; 0 = no engine thread */
	_Atomic uint32_t asked; /* enum qs_leave + 1 */
	_Atomic uint32_t state; /* futex */
	_Atomic uint32_t *copy; /* enum copy, futex in shared memory */
	uint64_t flush_by_ns; /* an execve waits until then at most; 0 = none does */
	volatile sig_atomic_t alarms; /* since the last sweep */
} outlive;

/* --- the host's side --- */

static bool thread_lives(void)
{
	int saved = errno;
	bool lives = syscall(SYS_tgkill, outlive.pid, outlive.tid, 0) == 0;

	errno = saved;
	return lives;
}

void qs_outlive_leave(enum qs_leave how)
{
	struct timespec slice = {.tv_nsec = SLICE_NS};
	uint32_t state, none = 0;
	uint64_t waited = 0;
	int saved = errno;

	/* A child of the host, by fork or vfork, has another number. */
	if (outlive.tid == 0 || syscall(SYS_getpid) != outlive.pid ||
	    atomic_load_explicit(&outlive.state, memory_order_acquire) == GONE)
		return;
	atomic_compare_exchange_strong(&outlive.asked, &none, (uint32_t)how + 1);
	syscall(SYS_tgkill, outlive.pid, outlive.tid, CALL);
	while ((state = atomic_load_explicit(&outlive.state, memory_order_acquire)) != GONE) {
		if (!thread_lives() || (state == HERE && waited > PATIENCE_NS) ||
		    atomic_load_explicit(&outlive.asked, memory_order_acquire) == 0)
			break;
		syscall(SYS_futex, &outlive.state, FUTEX_WAIT_PRIVATE, state, &slice, NULL, 0);
		waited += SLICE_NS;
	}
	errno = saved;
}

/* --- the copy --- */

static void on_term(int sig)
{
	(void)sig;
	outlive.engine->ending = 1;
}

static void on_alarm(int sig)
{
	(void)sig;
	if (++outlive.alarms > 1)
		_exit(1);
	alarm(ALARM_AGAIN_S);
}

void qs_outlive_alive(void)
{
	outlive.alarms = 0;
	alarm(ALARM_S);
}

static void own_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGXFSZ, &action, NULL);
	action.sa_handler = on_term;
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = on_alarm;
	action.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* One line of /proc/self/maps: a shared mapping that is not ours goes. That of the steering program's table is known by
 * its name: were it the host's, it could stay. */
static void drop_mapping(const char *line, void *const ours[3])
{
	char *at;
	unsigned long start = strtoul(line, &at, 16), end;

	if (*at != '-')
		return;
	end = strtoul(at + 1, &at, 16);
	/* " rwxs" */
	if (strnlen(at, 5) < 5 || at[4] != 's' || end <= start || strstr(at, ":bpf-map") != NULL)
		return;
	for (int i = 0; i < 3; i++) {
		unsigned long address = (unsigned long)ours[i];

		if (address >= start && address < end)
			return;
	}
	syscall(SYS_munmap, start, end - start);
}

static void drop_mappings(const struct qs_engine *engine)
{
	void *const ours[3] = {engine->pages.page, engine->pages.options, engine->will.page};
	static char text[8192]; /* a line has at most 4096 octets of path and some more */
	size_t have = 0;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0) {
		char *line = text, *end;

		have += (size_t)n;
		text[have] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			drop_mapping(line, ours);
			line = end + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	if (fd >= 0)
		close(fd);
}

/* Sizes of an engine's objects, so many that a thread's cache can't serve them. Hangs if a lock is
 * held that nobody will give back. */
static void try_malloc(void)
{
	static const size_t sizes[] = {64, 600, 3000, 20000, 70000};
	void *volatile got[5 * 8];

	for (unsigned i = 0; i < 5 * 8; i++)
		got[i] = malloc(sizes[i % 5]);
	for (unsigned i = 0; i < 5 * 8; i++)
		free(got[i]);
}

/* False if the other side was first. */
static bool decide(enum copy to)
{
	uint32_t from = BORN;

	if (!atomic_compare_exchange_strong(outlive.copy, &from, to))
		return false;
	syscall(SYS_futex, outlive.copy, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	return true;
}

_Noreturn static void go_alone(struct qs_engine *engine)
{
	own_signals();
	qs_outlive_alive();
	try_malloc();
	if (!decide(READY))
		_exit(0);
	setsid();
	prctl(PR_SET_NAME, "quicshim");
	qs_rlimit_own();
	if (chdir("/") < 0) {
		/* Where we are may be unmounted later: no more than a nuisance. */
	}
	drop_mappings(engine);
	qs_source_close(engine, &outlive.source);
	engine->thread = false;
	engine->alone = true;
	engine->pages.page->pid = getpid();
	qs_privilege_init(engine, outlive.pid, 0); /* as one that was started by the host */
	if (engine->status_source.fd >= 0)
		listen(engine->status_source.fd, 64); /* names us as the one who answers */
	qs_log("the engine goes on without its process: %u streams", engine->n_streams);
	qs_engine_run(engine);
	qs_log("engine idle: ends");
	qs_engine_close(engine);
	_exit(0);
}

static void copy_main(void *arg)
{
	go_alone(arg);
}

/* --- the engine's thread in the host --- */

static void called(struct qs_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) > 0)
		;
}

int qs_outlive_init(struct qs_engine *engine)
{
	sigset_t set;
	int rv;

	sigemptyset(&set);
	sigaddset(&set, CALL);
	outlive.source = (struct qs_source){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
					    .fn = called};
	if (outlive.source.fd < 0)
		return -errno;
	rv = qs_source_add(engine, &outlive.source, EPOLLIN);
	if (rv < 0)
		return rv;
	outlive.engine = engine;
	outlive.pid = getpid();
	outlive.tid = (int)syscall(SYS_gettid);
	return 0;
}

/* One copy, which has shown that it can go on. 0 or -errno; -EDEADLK if it could not. */
static int make_copy(struct qs_engine *engine)
{
	struct timespec patience = {.tv_nsec = COPY_NS};
	int pid = 0, rv;

	atomic_store(outlive.copy, BORN);
	rv = qs_unseen_fork(copy_main, engine, &pid);
	if (rv < 0)
		return rv;
	syscall(SYS_futex, outlive.copy, FUTEX_WAIT, BORN, &patience, NULL, 0);
	if (!decide(DEAD))
		return 0;
	if (pid > 0)
		kill(pid, SIGKILL);
	return -EDEADLK;
}

static int make_copies(struct qs_engine *engine)
{
	int rv = -EDEADLK;

	outlive.copy = mmap(NULL, sizeof(*outlive.copy), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outlive.copy == MAP_FAILED)
		return -ENOMEM;
	for (int i = 0; i < COPIES && rv == -EDEADLK; i++)
		rv = make_copy(engine);
	munmap(outlive.copy, sizeof(*outlive.copy));
	return rv;
}

/* The execve waits for what has been written; then it goes on as if it had not asked, for it may fail. */
static void flush_turn(struct qs_engine *engine)
{
	if (engine->now_ns < outlive.flush_by_ns && !qs_drain_is_quiet(engine))
		return;
	outlive.flush_by_ns = 0;
	atomic_store_explicit(&outlive.asked, 0, memory_order_release);
	syscall(SYS_futex, &outlive.state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

bool qs_outlive_turn(struct qs_engine *engine)
{
	uint32_t asked = atomic_load_explicit(&outlive.asked, memory_order_acquire);
	int rv = -EPERM;

	if (!engine->thread || asked == 0)
		return false;
	if (outlive.flush_by_ns != 0) {
		flush_turn(engine);
		return false;
	}
	if (atomic_load_explicit(&outlive.state, memory_order_relaxed) == DRAINING) {
		if (!qs_drain_done(engine))
			return false;
	} else if (!qs_engine_idle(engine)) {
		if (asked != QS_LEAVE_EXIT + 1 || outlive.pid != 1)
			rv = make_copies(engine);
		if (rv == 0)
			return true;
		if (rv != -EPERM)
			qs_log("the engine can't fork: %s", strerrorname_np(-rv));
		if (asked == QS_LEAVE_EXEC + 1) {
			uint64_t linger_ns = qs_engine_linger_ns(engine);

			outlive.flush_by_ns =
				engine->now_ns + (linger_ns < FLUSH_NS ? linger_ns : FLUSH_NS);
			flush_turn(engine);
			return false;
		}
		/* Other threads may still write, and the exit status is the program's. */
		signal(SIGPIPE, SIG_IGN);
		qs_drain_begin(engine);
		atomic_store_explicit(&outlive.state, DRAINING, memory_order_release);
		return false;
	}
	qs_engine_close(engine);
	return true;
}

void qs_outlive_end(struct qs_engine *engine)
{
	(void)engine;
	close_range(0, ~0u, 0);
	atomic_store_explicit(&outlive.state, GONE, memory_order_release);
	syscall(SYS_futex, &outlive.state, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	/* The destructors that run now are the host's: none may find a thread that ends. */
	while (atomic_load_explicit(&outlive.asked, memory_order_relaxed) == QS_LEAVE_EXIT + 1)
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 8);
}
