/* SPDX-License-Identifier: MIT */
/* The helper program: an engine in a process of its own (DESIGN R1). Started by the shim, never by
 * hand. */
#include "engine.h"
#include "log.h"
#include "rlimit.h"
#include "trap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The libraries' failed assertions come here, since the program's symbols stand before libc's
 * (trap.h). */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED void __assert_fail(const char *assertion, const char *file, unsigned int line,
			    const char *function) __attribute__((noreturn));
EXPORTED void abort(void) __attribute__((noreturn));
void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function)
{
	char what[128];

	snprintf(what, sizeof(what), "%s:%u: %s: %s", file, line, function, assertion);
	qs_trap_catch(what);
	qs_log("failed assertion outside of a connection: %s", what);
	raise(SIGABRT);
	_exit(127);
}

void abort(void)
{
	qs_trap_catch("abort");
	qs_log("abort outside of a connection");
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	_exit(127);
}

/* What was inherited from the app goes, but for our two sockets; 0 to 2 become /dev/null. */
#define CLOSE_MAX 65536
static int clean_descriptors(void)
{
	/* A seccomp filter that the app has may forbid it. */
	if (close_range(QS_HELPER_CONTROL_FD + 1, ~0u, 0) < 0)
		for (int fd = QS_HELPER_CONTROL_FD + 1; fd < CLOSE_MAX; fd++)
			close(fd);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (int fd = 0; fd < 3; fd++) {
		if (open("/dev/null", O_RDWR) != fd)
			return -EMFILE;
	}
	fcntl(QS_HELPER_STREAM_FD, F_SETFD, FD_CLOEXEC);
	fcntl(QS_HELPER_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	return 0;
}

static struct qs_engine engine;

/* Drain and end: the app's own shutdown may come by the same signal, and must find its streams served. */
static void on_term(int sig)
{
	(void)sig;
	engine.ending = 1;
}

static void set_signals(void)
{
	struct sigaction term = {.sa_handler = on_term};

	sigaction(SIGTERM, &term, NULL);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static void follow_starter(const char *text)
{
	int starter = 0, origin = 0;

	if (text != NULL && sscanf(text, "%d,%d", &starter, &origin) < 1)
		starter = 0;
	qs_privilege_init(&engine, starter, origin);
}

static void locate_will(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n > 0) {
		path[n] = '\0';
		qs_will_locate(path, "");
	}
}

int main(void)
{
	const char *text = getenv(QS_ENGINE_ENV), *policy = getenv("QUICSHIM_POLICY");
	struct qs_identity identity;
	int rv;

	qs_rlimit_own();
	if (text == NULL || qs_identity_parse(text, &identity) < 0 || clean_descriptors() < 0)
		return 2;
	setsid();
	if (chdir("/") < 0)
		return 2;
	prctl(PR_SET_NAME, "quicshim");
	prctl(PR_SET_TIMERSLACK,
	      1000); /* ns; the default of 50 us is longer than the pacer's gaps */
	umask(0077); /* the app's may leave us no right to our own files */
	set_signals();
	qs_log_open(getenv("QUICSHIM_LOG"));
	locate_will();
	rv = qs_engine_init(&engine, &identity, false, QS_HELPER_STREAM_FD, QS_HELPER_CONTROL_FD,
			    policy);
	explicit_bzero(&identity, sizeof(identity));
	if (rv < 0) {
		qs_log("the engine can't start: %s", strerrorname_np(-rv));
		return 1;
	}
	follow_starter(getenv(QS_STARTER_ENV));
	qs_log("engine started");
	qs_engine_run(&engine);
	qs_log("engine idle: ends");
	qs_engine_fini(&engine);
	return 0;
}
