/* SPDX-License-Identifier: MIT */
/* Starts the engine: as a helper program that wait() never sees, or as a thread. */
#include "spawn.h"

#include "exit.h"
#include "raw.h"
#include "state.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer's clone(), since gcc 13, takes every child for a fork: ours share the memory. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/*
 * Theory. The engine's listening sockets are made here, before it runs, so that the connect that
 * caused the start goes on at once; for a helper in a child's descriptor table, so that no fork of
 * the app can catch them. Whoever binds the name first starts the engine; all others, threads and
 * processes alike, see EADDRINUSE and try to connect again: no lock is needed.
 *
 * A helper must not be the app's child: the app may wait for any child, count them, or have a
 * SIGCHLD handler (R2). So a middle child, which shares our memory and has no exit signal, starts
 * the helper and ends; the helper belongs to init from then on. Both run on a stack of their own,
 * with all signals blocked, and use raw system calls only: they share errno and all locks with a
 * suspended thread of the app. A middle child that ends is collected by its number, with __WALL.
 *
 * After a fork in a process whose engine is a thread the engine's library is in a state that nobody
 * knows: such a child never starts that thread again, it starts a helper. So does a program whose limits leave a
 * thread no room: RLIMIT_NOFILE below the ten descriptors that it begins with, or RLIMIT_FSIZE below its pages.
 */

#define STACK_BYTES (128 * 1024)
#define LOADER_STACK_BYTES (512 * 1024)
#define HELPER_ENV_MAX 12
#define FIRST_FREE_FD (QS_HELPER_CONTROL_FD + 1)

static char directory[4096]; /* of libquicshim.so, with the last slash; "" = unknown */
static char log_path[4096];
void (*qs_spawn_trap_hook)(const char *what);

struct plan {
	const char *program;
	char *const *argv;
	char *const *envp;
	int stream_fd, control_fd;
	char *stack;
	_Atomic int error; /* of execve, or of the start of the helper */
};

static void absolute(char out[static 4096], const char *path)
{
	size_t prefix = 0;

	if (path[0] != '/') {
		long len = qs_raw(SYS_getcwd, out, 4096, 0, 0);

		if (len <= 1 || out[0] != '/') {
			out[0] = '\0';
			return;
		}
		prefix = (size_t)len - 1;
		out[prefix++] = '/';
	}
	if (prefix + strlen(path) >= 4096)
		out[0] = '\0';
	else
		strcpy(out + prefix, path);
}

void qs_spawn_init(void)
{
	Dl_info info;
	union {
		void (*function)(void);
		void *data;
	} here = {.function = qs_spawn_init};
	const char *log = secure_getenv("QUICSHIM_LOG");
	char *slash;

	if (dladdr(here.data, &info) && info.dli_fname)
		absolute(directory, info.dli_fname);
	slash = strrchr(directory, '/');
	if (slash)
		slash[1] = '\0';
	if (log && *log)
		absolute(log_path, log);
}

/* What the loader and the sockets need: the rest is the helper's own business (engine/rlimit.c). */
static void raise_limits(void)
{
	static const int which[] = {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA};

	for (unsigned i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		struct rlimit64 limit;

		if (qs_raw(SYS_prlimit64, 0, which[i], NULL, &limit) < 0)
			continue;
		limit.rlim_cur = limit.rlim_max;
		qs_raw(SYS_prlimit64, 0, which[i], &limit, NULL);
	}
}

/* In the helper: the two sockets become 3 and 4, everything else is closed. */
static void arrange_descriptors(const struct plan *plan)
{
	long stream = qs_sys_fcntl(plan->stream_fd, F_DUPFD, FIRST_FREE_FD);
	long control = qs_sys_fcntl(plan->control_fd, F_DUPFD, FIRST_FREE_FD);
	long null = qs_raw(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);

	for (int fd = 0; fd < 3; fd++) {
		qs_sys_close(fd == null ? -1 : fd);
		if (null >= 0 && fd != null)
			qs_sys_dup3((int)null, fd, 0);
	}
	qs_sys_dup3((int)stream, QS_HELPER_STREAM_FD, 0);
	qs_sys_dup3((int)control, QS_HELPER_CONTROL_FD, 0);
	if (qs_raw(SYS_close_range, QS_HELPER_CONTROL_FD + 1, ~0u, 0, 0) < 0)
		for (int fd = QS_HELPER_CONTROL_FD + 1; fd < 65536; fd++)
			qs_sys_close(fd);
}

static void reset_signals(void)
{
	/* The kernel's struct sigaction, zeroed: SIG_DFL, no flags, no mask. */
	unsigned long zero[8] = {0}, none[2] = {0};

	for (int sig = 1; sig <= 64; sig++)
		qs_raw(SYS_rt_sigaction, sig, zero, 0, 8);
	qs_raw(SYS_rt_sigprocmask, SIG_SETMASK, none, 0, 8);
}

/* A frame that is never left: ASan would hold its stack poisoned, and the next start may get the same memory. */
#define NEVER_LEFT __attribute__((no_sanitize_address))

NEVER_LEFT static int run_helper(void *arg)
{
	struct plan *plan = arg;

	qs_raw(SYS_setsid, 0, 0, 0, 0);
	raise_limits();
	arrange_descriptors(plan);
	qs_raw(SYS_chdir, "/", 0, 0, 0);
	reset_signals();
	plan->error = (int)-qs_raw(SYS_execve, plan->program, plan->argv, plan->envp, 0);
	qs_raw(SYS_exit, 127, 0, 0, 0);
	return 127;
}

/* Binds and listens. -EADDRINUSE if the name is taken. */
static int make_listener(enum qs_channel channel, int type)
{
	struct sockaddr_un name;
	socklen_t len = qs_control_address(&name, qs_state.identity.id, channel);
	int fd = qs_sys_socket(AF_UNIX, type | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return fd;
	rc = qs_sys_bind(fd, &name, len);
	if (rc == 0)
		rc = qs_sys_listen(fd, 4096);
	if (rc < 0) {
		qs_sys_close(fd);
		return rc;
	}
	return fd;
}

NEVER_LEFT static int run_middle(void *arg)
{
	struct plan *plan = arg;
	int rc = plan->stream_fd = make_listener(QS_CHANNEL_STREAM, SOCK_STREAM);

	if (rc >= 0)
		rc = plan->control_fd = make_listener(QS_CHANNEL_CONTROL, SOCK_SEQPACKET);
	/* Returns when the helper has called execve or ended. */
	if (rc < 0)
		plan->error = -rc;
	else if (clone(run_helper, plan->stack + STACK_BYTES / 2, CLONE_VM | CLONE_VFORK, plan) < 0)
		plan->error = EAGAIN;
	qs_raw(SYS_exit, 0, 0, 0, 0);
	return 0;
}

/* All signals are blocked here. */
static int run_plan(struct plan *plan)
{
	int reaper = 0, middle;

	qs_raw(SYS_prctl, PR_GET_CHILD_SUBREAPER, &reaper, 0, 0);
	if (reaper)
		qs_raw(SYS_prctl, PR_SET_CHILD_SUBREAPER, 0, 0, 0);
	middle = clone(run_middle, plan->stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, plan);
	if (middle < 0)
		plan->error = errno;
	else
		while (qs_raw(SYS_wait4, middle, 0, __WALL, 0) == -EINTR)
			;
	if (reaper)
		qs_raw(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
	return -plan->error;
}

static char *pass_on(const char *name)
{
	size_t len = strlen(name);

	for (char **e = environ; e && *e; e++)
		if (!strncmp(*e, name, len) && (*e)[len] == '=')
			return *e;
	return NULL;
}

/* At the lower end of the stack that is mapped for the helper: the app's own may be of 16 KiB, or a signal's. */
struct texts {
	char identity[sizeof(QS_ENGINE_ENV "=") + QS_IDENTITY_TEXT];
	char policy[sizeof("QUICSHIM_POLICY=") + sizeof(qs_state.policy_path)];
	char log[sizeof("QUICSHIM_LOG=") + sizeof(log_path)];
	char program[sizeof(directory) + 32], name[sizeof("quicshim-engine")];
	char starter[64];
	char *argv[2], *envp[HELPER_ENV_MAX];
};
_Static_assert(sizeof(struct texts) < STACK_BYTES / 4, "the helper needs a stack too");

static void write_texts(struct texts *texts)
{
	static const char *const passed[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
					     "LSAN_OPTIONS"};
	char **env = texts->envp;

	strcpy(texts->identity, QS_ENGINE_ENV "=");
	qs_identity_format(texts->identity + strlen(texts->identity), &qs_state.identity);
	*env++ = texts->identity;
	snprintf(texts->starter, sizeof(texts->starter), QS_STARTER_ENV "=%d,%d",
		 (int)qs_raw(SYS_getpid, 0, 0, 0, 0), qs_state.origin);
	*env++ = texts->starter;
	strcat(strcpy(texts->policy, "QUICSHIM_POLICY="), qs_state.policy_path);
	if (qs_state.policy_path[0])
		*env++ = texts->policy;
	strcat(strcpy(texts->log, "QUICSHIM_LOG="), log_path);
	if (log_path[0])
		*env++ = texts->log;
	for (unsigned i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if ((*env = pass_on(passed[i])))
			env++;
	*env = NULL;
	strcat(strcpy(texts->program, directory), "quicshim/quicshim-engine");
	texts->argv[0] = strcpy(texts->name, "quicshim-engine");
	texts->argv[1] = NULL;
}

static int start_process(void)
{
	struct plan plan = {0};
	union {
		void *data;
		char *stack;
		struct texts *texts;
	} at;
	char text[32];
	int rc;

	at.data = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (at.data == MAP_FAILED)
		return -ENOMEM;
	write_texts(at.texts);
	plan.stack = at.stack;
	plan.program = at.texts->program;
	plan.argv = at.texts->argv;
	plan.envp = at.texts->envp;
	rc = run_plan(&plan);
	if (rc < 0 && rc != -EADDRINUSE) {
		snprintf(text, sizeof(text), "error %d", -rc);
		qs_complain("can't start %1: %2", plan.program,
			    rc == -ENOENT   ? "no such program"
			    : rc == -EACCES ? "permission denied"
					    : text);
	}
	munmap(at.data, STACK_BYTES);
	return rc;
}

/* What the limits of this process, which a thread shares, leave no room for: a helper has its own. */
static bool is_want(int error)
{
	return error == EINVAL || error == EMFILE || error == EFBIG || error == ENOMEM ||
	       error == EAGAIN;
}

/* -ELIBACC if it must be a helper. */
static int start_thread(int stream_fd, int control_fd)
{
	static qs_leave_fn *leave;
	char path[sizeof(directory) + 32];
	struct qs_engine_start start = {
		.identity = qs_state.identity,
		.policy_path = qs_state.policy_path[0] ? qs_state.policy_path : NULL,
		.log_path = log_path[0] ? log_path : NULL,
		.stream_fd = stream_fd,
		.control_fd = control_fd,
		.trap_hook = &qs_spawn_trap_hook,
		.thread_hook = qs_state_engine_thread,
		.leave_hook = &leave};
	qs_engine_start_fn *entry = NULL;
	void *library, *symbol;
	int rc;

	strcpy(path, directory);
	strcat(path, "libquicshim-engine.so");
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	symbol = library ? dlsym(library, QS_ENGINE_START_SYMBOL) : NULL;
	if (!symbol) {
		const char *why = dlerror();

		qs_complain("can't load the engine: %1", why ? why : path, "");
		return -ELIBACC;
	}
	memcpy(&entry, &symbol, sizeof(symbol));
	rc = entry(&start);
	if (is_want(-rc))
		return -ELIBACC;
	if (rc < 0) {
		snprintf(path, 64, "error %d", -rc);
		qs_complain("can't start the engine's thread: %1", path, "");
		return rc;
	}
	__atomic_store_n(&qs_exit_hook, leave, __ATOMIC_RELEASE);
	qs_exit_watch();
	return rc;
}

/* A sanitizer can't follow from one stack to another. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHANGES_STACK false
#else
#define CHANGES_STACK true
#endif

/*
 * The loader and the engine's libraries need more stack than the app's thread may have. Another thread would not do:
 * the app may be in a constructor, with the loader's lock.
 */
static struct on_stack {
	ucontext_t here, there;
	int stream_fd, control_fd, rc;
} * on_stack; /* there is one start of a thread in this memory, ever */

NEVER_LEFT static void run_on_stack(void)
{
	on_stack->rc = start_thread(on_stack->stream_fd, on_stack->control_fd);
}

static int start_thread_on_stack(int stream_fd, int control_fd)
{
	union {
		void *data;
		char *stack;
		struct on_stack *on_stack;
	} at;
	int rc = -ELIBACC;

	if (!CHANGES_STACK)
		return start_thread(stream_fd, control_fd);
	at.data = mmap(NULL, LOADER_STACK_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (at.data == MAP_FAILED)
		return rc;
	on_stack = at.on_stack;
	on_stack->stream_fd = stream_fd;
	on_stack->control_fd = control_fd;
	if (getcontext(&on_stack->there) == 0) {
		on_stack->there.uc_stack.ss_sp = at.stack + sizeof(*on_stack);
		on_stack->there.uc_stack.ss_size = LOADER_STACK_BYTES - sizeof(*on_stack);
		on_stack->there.uc_link = &on_stack->here;
		makecontext(&on_stack->there, run_on_stack, 0);
		swapcontext(&on_stack->here, &on_stack->there);
		rc = on_stack->rc;
	}
	munmap(at.data, LOADER_STACK_BYTES);
	return rc;
}

static int start_listening_thread(void)
{
	static atomic_bool thread_was_here; /* in this memory, be it this process or an ancestor */
	int stream_fd = make_listener(QS_CHANNEL_STREAM, SOCK_STREAM), control_fd = -1;
	int rc = stream_fd;

	if (rc >= 0)
		rc = control_fd = make_listener(QS_CHANNEL_CONTROL, SOCK_SEQPACKET);
	if (rc >= 0 && atomic_exchange(&thread_was_here, true))
		rc = -ELIBACC;
	if (rc >= 0)
		rc = start_thread_on_stack(stream_fd, control_fd);
	if (stream_fd >= 0)
		qs_sys_close(stream_fd);
	if (control_fd >= 0)
		qs_sys_close(control_fd);
	return rc < 0 ? rc : 0;
}

int qs_spawn_engine(void)
{
	int saved = errno, cancel, rc = -ELIBACC;
	sigset_t all, before;

	if (!qs_state.has_identity || !directory[0])
		return -ENOENT;
	if (atomic_load_explicit(&qs_state.no_spawn, memory_order_relaxed)) {
		qs_complain("%1", "a seccomp filter lets no engine be started", "");
		return -EPERM;
	}
	sigfillset(&all);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (qs_state.policy && qs_state.policy->placement == QS_PLACEMENT_THREAD)
		rc = start_listening_thread();
	if (rc == -ELIBACC)
		rc = start_process();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setcancelstate(cancel, NULL);
	errno = saved;
	return rc;
}
