/* SPDX-License-Identifier: MIT */
/* Start-up of the shim inside a process: policy, identity, sandbox. */
#include "state.h"

#include "exit.h"
#include "fork.h"
#include "listen.h"
#include "raw.h"
#include "real.h"
#include "spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Theory. A process is inert (no policy, no engine in the environment), watching (a policy with a
 * rule in mode quic, or one that can't be used) or active (it mapped a socket, or it was exec'ed by
 * a process that had an engine: a descriptor it inherited may be mapped). Inert processes pay one
 * predictable branch a call. All of it is set once before main, and inherited by fork as it is;
 * nothing here locks.
 */

struct qs_state qs_state;

#define LINE_KEPT 48 /* octets of each: a list of 65,536 groups has up to 700 kB */

/* The beginnings of a file's lines, as many as fit, NUL-terminated. 0 or -errno. */
static long read_lines(const char *path, char *buf, size_t size)
{
	long fd = qs_raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), got;
	size_t len = 0, column = 0;
	char piece[1024];

	if (fd < 0)
		return fd;
	while ((got = qs_raw(SYS_read, fd, piece, sizeof(piece), 0)) > 0) {
		for (long i = 0; i < got; i++) {
			column = piece[i] == '\n' ? 0 : column + 1;
			if (column <= LINE_KEPT && len < size - 1)
				buf[len++] = piece[i];
		}
	}
	qs_sys_close((int)fd);
	buf[len] = '\0';
	return got < 0 ? got : 0;
}

/* How many seccomp filters a process has: -1 if that can't be told. */
static int filters(const char *path)
{
	char buf[4096];
	const char *found;

	if (read_lines(path, buf, sizeof(buf)) < 0)
		return -1;
	found = strstr(buf, "\nSeccomp_filters:");
	if (found)
		return atoi(found + strlen("\nSeccomp_filters:"));
	found = strstr(buf, "\nSeccomp:");
	return found ? atoi(found + strlen("\nSeccomp:")) > 0 : -1;
}

/*
 * A filter survived exec. One that process 1 has as well is the container's, which forbids nothing
 * that we do; any more of them are the program's own.
 */
static void look_for_sandbox(void)
{
	int ours = filters("/proc/self/status");

	if (ours > 0 && ours > filters("/proc/1/status"))
		qs_state_sandbox();
}

static int random_identity(struct qs_identity *out)
{
	struct {
		uint64_t id;
		uint8_t token[16];
	} bytes;
	long got = qs_raw(SYS_getrandom, &bytes, sizeof(bytes), 0, 0);

	if (got != (long)sizeof(bytes))
		return -EIO;
	out->id = bytes.id;
	memcpy(out->token, bytes.token, sizeof(out->token));
	return 0;
}

/* Finds the policy file's name and makes it absolute: helpers start elsewhere. */
static int locate(void)
{
	char found[sizeof(qs_state.policy_path)];
	int rc = qs_policy_locate(found, sizeof(found));
	size_t prefix = 0;

	if (rc <= 0)
		return rc;
	if (found[0] != '/') {
		long len = qs_raw(SYS_getcwd, qs_state.policy_path, sizeof(found), 0, 0);

		if (len <= 1 || qs_state.policy_path[0] != '/')
			return -ENAMETOOLONG;
		prefix = (size_t)len - 1;
		qs_state.policy_path[prefix++] = '/';
	}
	if (prefix + strlen(found) >= sizeof(found)) {
		qs_state.policy_path[0] = '\0';
		return -ENAMETOOLONG;
	}
	strcpy(qs_state.policy_path + prefix, found);
	return 1;
}

static void fail_closed(const char *path, const char *why)
{
	qs_state.broken = true;
	if (!qs_state.error.text[0])
		snprintf(qs_state.error.text, sizeof(qs_state.error.text), "%.200s: %.200s", path,
			 why);
}

static void load(void)
{
	struct qs_policy *policy = NULL;
	int rc = locate();

	if (rc == 0)
		return;
	if (rc < 0) {
		fail_closed("policy", "the file's name is too long");
		return;
	}
	rc = qs_policy_load(qs_state.policy_path, geteuid(), &policy, &qs_state.error);
	if (rc < 0) {
		fail_closed(qs_state.policy_path, "can't be used");
		return;
	}
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct qs_rule *rule = &policy->rules[i];

		if (qs_rule_maps(rule) && rule->listen)
			qs_state.has_listen = true;
		else if (qs_rule_maps(rule))
			qs_state.has_connect = true;
	}
	qs_state.policy = policy;
}

static void choose_identity(void)
{
	char text[QS_IDENTITY_TEXT];

	if (random_identity(&qs_state.identity) < 0) {
		fail_closed(qs_state.policy_path, "no random numbers for an engine's name");
		return;
	}
	qs_identity_format(text, &qs_state.identity);
	setenv(QS_ENGINE_ENV, text, 1);
	qs_state.origin = (int)qs_raw(SYS_getpid, 0, 0, 0, 0);
	snprintf(text, sizeof(text), "%d", qs_state.origin);
	setenv(QS_ORIGIN_ENV, text, 1);
	qs_state.has_identity = true;
}

void qs_state_init(void)
{
	int saved = errno, begun = 0;
	const char *text;

	/* A second thread or a recursion goes on without us: before main there is nothing to map.
	 */
	if (!atomic_compare_exchange_strong(&qs_state.stage, &begun, 1))
		return;
	qs_real_bind();
	load();
	text = secure_getenv(QS_ENGINE_ENV);
	if (text && qs_identity_parse(text, &qs_state.identity) == 0) {
		qs_state.has_identity = true;
		text = secure_getenv(QS_ORIGIN_ENV);
		qs_state.origin = text ? atoi(text) : 0;
		qs_state_activate();
		look_for_sandbox();
	} else if (qs_state.has_connect || qs_state.has_listen) {
		choose_identity();
	}
	if (qs_state.has_identity) {
		qs_spawn_init();
		qs_exit_init();
	}
	if (qs_state.broken || qs_state.has_connect || qs_state.has_listen)
		atomic_store_explicit(&qs_state.watching, true, memory_order_relaxed);
	atomic_store_explicit(&qs_state.stage, 2, memory_order_release);
	errno = saved;
}

__attribute__((constructor)) static void start(void)
{
	int saved = errno;

	qs_state_init();
	if (qs_state.has_identity)
		qs_fork_init();
	if (qs_state.has_listen || qs_state.broken)
		qs_listen_inherited();
	errno = saved;
}

_Thread_local bool qs_state_is_engine;

void qs_state_engine_thread(void)
{
	qs_state_is_engine = true;
}

void qs_state_activate(void)
{
	atomic_store_explicit(&qs_state.active, true, memory_order_relaxed);
	atomic_store_explicit(&qs_state.watching, true, memory_order_relaxed);
}

void qs_state_sandbox(void)
{
	atomic_store_explicit(&qs_state.sandboxed, true, memory_order_relaxed);
}
