/* SPDX-License-Identifier: MIT */
/* Our reading of seccomp filters against the kernel's: both judge the same calls of the same filters. And each of our
 * own calls: what is given up when a filter punishes it. */
#include "filter.h"

#include "sandbox.h"
#include "sandbox_calls.h"
#include "state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define NR offsetof(struct seccomp_data, nr)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ERROR(e) (SECCOMP_RET_ERRNO | (e))

static struct sock_filter simple[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, ERROR(EDOM)),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* Every kind of instruction that seccomp lets through, on the first argument of socket(). */
static struct sock_filter busy[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(0)),
	BPF_STMT(BPF_ST, 3),
	BPF_STMT(BPF_LDX | BPF_MEM, 3),
	BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
	BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3),
	BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1),
	BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0x55),
	BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
	BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 1),
	BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 0x100),
	BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 3),
	BPF_STMT(BPF_ALU | BPF_NEG, 0),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
	BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
	BPF_STMT(BPF_STX, 1),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0),
	BPF_STMT(BPF_JMP | BPF_JA, 1),
	BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 7),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7f),
	BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
	BPF_STMT(BPF_RET | BPF_A, 0),
};

static struct sock_filter compare[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(0)),
	BPF_STMT(BPF_LDX | BPF_IMM, 7),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, ERROR(11)),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 4, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, ERROR(12)),
	BPF_STMT(BPF_LD | BPF_IMM, 2),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(0)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, ERROR(13)),
	BPF_STMT(BPF_RET | BPF_K, ERROR(14)),
};

/* The errno that the kernel gives in a child with the filter on. */
static int kernel_says(struct sock_filter *code, size_t n, int nr, long a)
{
	struct sock_fprog filter = {.len = (unsigned short)n, .filter = code};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
			_exit(255);
		errno = 0;
		syscall(nr, a, SOCK_STREAM, 0);
		_exit(errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) || WEXITSTATUS(status) == 255)
		return -1;
	return WEXITSTATUS(status);
}

static void check(struct sock_filter *code, size_t n, int nr, long a)
{
	struct sock_fprog filter = {.len = (unsigned short)n, .filter = code};
	uint64_t argument[6] = {(uint64_t)a, SOCK_STREAM};
	uint32_t ours = qs_filter_run(&filter, nr, argument);
	int theirs = kernel_says(code, n, nr, a);

	if (theirs < 0)
		skip();
	if ((ours & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
		assert_int_equal(ours & SECCOMP_RET_DATA, theirs);
	else
		assert_int_equal(ours, SECCOMP_RET_ALLOW);
	assert_false(qs_filter_is_deadly(&filter, nr, argument));
}

static void as_the_kernel(void **state)
{
	(void)state;
	check(simple, COUNT(simple), SYS_getppid, 0);
	check(simple, COUNT(simple), SYS_getpid, 0);
	for (long family = 0; family < 12; family++) {
		check(busy, COUNT(busy), SYS_socket, family);
		check(compare, COUNT(compare), SYS_socket, family);
	}
}

static void what_is_deadly(void **state)
{
	static const uint32_t actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
					   SECCOMP_RET_TRAP,	     SECCOMP_RET_TRACE,
					   SECCOMP_RET_ERRNO | 1,    SECCOMP_RET_LOG,
					   SECCOMP_RET_ALLOW};
	uint64_t argument[6] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(actions); i++) {
		struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, actions[i]);
		struct sock_fprog filter = {.len = 1, .filter = &code};

		assert_int_equal(qs_filter_is_deadly(&filter, SYS_read, argument), i < 4);
	}
}

static void nonsense(void **state)
{
	struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
				     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog filter = {.len = 2, .filter = code};
	uint64_t argument[6] = {0};

	(void)state;
	assert_true(qs_filter_is_deadly(&filter, SYS_read, argument));
	code[0] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff);
	assert_true(qs_filter_is_deadly(&filter, SYS_read, argument));
	filter.len = 0;
	assert_true(qs_filter_is_deadly(&filter, SYS_read, argument));
}

/* --- our own calls --- */

/* Kills at this call with these arguments, lets all others through. */
static unsigned punish(struct sock_filter code[16], const struct qs_own_call *call)
{
	unsigned n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR);
	code[n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call->nr, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	for (unsigned i = 0; i < 4; i++) {
		code[n++] =
			(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)ARG(i));
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (uint32_t)call->argument[i], 1, 0);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	return n;
}

static bool has_call(enum qs_own_calls kind, const struct qs_own_call *call)
{
	size_t n;
	const struct qs_own_call *calls = qs_own_calls(kind, &n);

	for (size_t i = 0; i < n; i++)
		if (calls[i].nr == call->nr &&
		    memcmp(calls[i].argument, call->argument, sizeof(call->argument)) == 0)
			return true;
	return false;
}

static void given_up(const struct qs_own_call *call)
{
	struct sock_filter code[16];
	struct sock_fprog filter = {.filter = code};
	bool look = has_call(QS_CALLS_LOOK, call), ask = has_call(QS_CALLS_ASK, call);

	filter.len = (unsigned short)punish(code, call);
	qs_state.filtered = qs_state.sandboxed = qs_state.blind = false;
	qs_state.sealed = qs_state.no_spawn = qs_state.no_probe = qs_state.mute = false;
	qs_sandbox_note(&filter);
	assert_true(qs_state.filtered);
	assert_int_equal(qs_state.blind, look);
	assert_int_equal(qs_state.sandboxed, look);
	assert_int_equal(qs_state.sealed, look || ask);
	assert_int_equal(qs_state.no_spawn, has_call(QS_CALLS_SPAWN, call));
	assert_int_equal(qs_state.no_probe, has_call(QS_CALLS_PROBE, call));
	assert_int_equal(qs_state.mute, has_call(QS_CALLS_SAY, call));
}

/* A file that the reason names does make the call. */
static void made_in(const char *file, size_t len, const char *name)
{
	char path[4096], line[1024];
	bool found = false;
	FILE *in;

	snprintf(path, sizeof(path), QS_SOURCE_DIR "/shim/%.*s", (int)len, file);
	in = fopen(path, "re");
	if (in == NULL)
		fail_msg("%s is no file", path);
	/* As SYS_name, as qs_sys_name, by libc's function, or by a helper function of raw.h with another name. */
	while (!found && fgets(line, sizeof(line), in) != NULL)
		found = strstr(line, name) != NULL;
	fclose(in);
	if (!found)
		fail_msg("%s does not call %s", path, name);
}

static const char *written_as(const char *name)
{
	if (strcmp(name, "newfstatat") == 0)
		return "fstat";
	return strcmp(name, "nanosleep") == 0 ? "pause_ms" : name;
}

static void has_reason(const struct qs_own_call *call)
{
	const char *at = call->why, *colon = strchr(at, ':');

	assert_non_null(colon);
	assert_true(colon[1] == ' ' && colon[2] != '\0');
	while (at < colon) {
		size_t len = strcspn(at, ",:");

		made_in(at, len, written_as(call->name));
		at += len;
		at += at < colon ? strspn(at, ", ") : 0;
	}
}

static void each_of_ours(void **state)
{
	(void)state;
	if (qs_state.stage == 0)
		qs_state_init();
	qs_state.watching = true;
	for (int kind = 0; kind < QS_CALLS_MAX; kind++) {
		size_t n;
		const struct qs_own_call *calls = qs_own_calls((enum qs_own_calls)kind, &n);

		assert_true(n > 0);
		for (size_t i = 0; i < n; i++) {
			has_reason(&calls[i]);
			given_up(&calls[i]);
		}
	}
	/* Strict mode leaves nothing. */
	qs_state.sealed = qs_state.blind = false;
	qs_sandbox_note(NULL);
	assert_true(qs_state.sealed && qs_state.blind && qs_state.no_spawn && qs_state.mute);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_kernel),
		cmocka_unit_test(what_is_deadly),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(each_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
