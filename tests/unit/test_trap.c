// SPDX-License-Identifier: MIT
// The trap: this program exports __assert_fail and abort as the shim and the helper program do, and
// a "library" of its own fails in each way, inside a trap and outside of one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trap.h"

#include <ngtcp2/ngtcp2.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define EXPORT __attribute__((visibility("default"), noreturn))
#define REAL_ASSERT 3 /* exit codes of the real thing, which tests run in a child */
#define REAL_ABORT 4

void __assert_fail(const char *expression, const char *file, unsigned line, const char *function);

EXPORT void __assert_fail(const char *expression, const char *file, unsigned line,
			  const char *function)
{
	char what[sizeof(qs_trap_state.what)];

	(void)function;
	snprintf(what, sizeof(what), "%s:%u: %s", file, line, expression);
	qs_trap_catch(what);
	_exit(REAL_ASSERT);
}

EXPORT void abort(void)
{
	qs_trap_catch("abort");
	_exit(REAL_ABORT);
}

/* A library that calls back before it gives up. */
enum failure { FAIL_NOT, FAIL_ASSERT, FAIL_ABORT };
typedef void library_callback(void *argument);

__attribute__((noinline)) static void library_call(enum failure failure, int depth,
						   library_callback *callback, void *argument)
{
	volatile char frame[512]; /* for ASan to poison */

	memset((char *)(uintptr_t)frame, depth, sizeof(frame));
	if (depth > 0) {
		library_call(failure, depth - 1, callback, argument);
		(void)frame[1];
		return;
	}
	if (callback)
		callback(argument);
	if (failure == FAIL_ASSERT)
		__assert_fail("depth > 0", "library.c", 42, "library_call");
	if (failure == FAIL_ABORT)
		abort();
}

static void call_with(void *argument)
{
	library_call(*(enum failure *)argument, 20, NULL, NULL);
}

static bool run(enum failure failure)
{
	return qs_trap_run(call_with, &failure);
}

static void test_run(void **state)
{
	(void)state;
	assert_true(run(FAIL_NOT));
	assert_false(qs_trap_state.active);
	assert_false(run(FAIL_ASSERT));
	assert_string_equal(qs_trap_state.what, "library.c:42: depth > 0");
	assert_false(qs_trap_state.active);
	assert_false(run(FAIL_ABORT));
	assert_string_equal(qs_trap_state.what, "abort");
	/* Others go on. */
	assert_true(run(FAIL_NOT));
	for (int i = 0; i < 1000; i++)
		assert_false(run(i % 2 ? FAIL_ASSERT : FAIL_ABORT));
	assert_true(run(FAIL_NOT));
}

static void test_macro(void **state)
{
	volatile int steps = 0, jumps = 0;

	(void)state;
	if (QS_TRAP_ENTER()) {
		jumps++;
	} else {
		steps++;
		library_call(FAIL_ABORT, 3, NULL, NULL);
		steps++;
		qs_trap_leave();
	}
	assert_int_equal(steps, 1);
	assert_int_equal(jumps, 1);
	if (QS_TRAP_ENTER()) {
		jumps++;
	} else {
		library_call(FAIL_NOT, 3, NULL, NULL);
		qs_trap_leave();
	}
	assert_int_equal(jumps, 1);
	assert_false(qs_trap_state.active);
}

/* Connections of an engine thread: the second dies, the others go on. */
struct connection {
	enum failure failure;
	int calls;
	bool poisoned;
};

static void count_call(void *argument)
{
	((struct connection *)argument)->calls++;
}

static void serve(void *argument)
{
	struct connection *connection = argument;

	library_call(connection->failure, 5, count_call, connection);
}

static void *engine_thread(void *argument)
{
	struct connection *connections = argument;

	for (int turn = 0; turn < 3; turn++)
		for (int i = 0; i < 3; i++)
			if (!connections[i].poisoned)
				connections[i].poisoned = !qs_trap_run(serve, &connections[i]);
	return NULL;
}

static void test_thread(void **state)
{
	struct connection connections[3] = {[1] = {.failure = FAIL_ASSERT}};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, engine_thread, connections), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(connections[0].calls, 3);
	assert_int_equal(connections[1].calls, 1);
	assert_int_equal(connections[2].calls, 3);
	assert_true(connections[1].poisoned);
	assert_false(connections[0].poisoned || connections[2].poisoned);
}

/* A trap of one thread is no trap of another, and what is outside of it is real. */
static void *fail_elsewhere(void *argument)
{
	library_call(*(enum failure *)argument, 1, NULL, NULL);
	return NULL;
}

static void fail_while_trapped(void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fail_elsewhere, argument) == 0)
		pthread_join(thread, NULL);
}

static int child_status(void (*call)(void *), enum failure failure)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		call(&failure);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void trap_and_fail_in_thread(void *argument)
{
	if (!qs_trap_run(fail_while_trapped, argument))
		_exit(99);
}

static void fail_after_trap(void *argument)
{
	enum failure none = FAIL_NOT;

	qs_trap_run(call_with, &none);
	call_with(argument);
}

static void fail_after_jump(void *argument)
{
	qs_trap_run(call_with, argument);
	call_with(argument);
}

static void test_outside(void **state)
{
	(void)state;
	assert_int_equal(child_status(call_with, FAIL_ASSERT), REAL_ASSERT);
	assert_int_equal(child_status(call_with, FAIL_ABORT), REAL_ABORT);
	assert_int_equal(child_status(trap_and_fail_in_thread, FAIL_ASSERT), REAL_ASSERT);
	assert_int_equal(child_status(trap_and_fail_in_thread, FAIL_ABORT), REAL_ABORT);
	assert_int_equal(child_status(fail_after_trap, FAIL_ABORT), REAL_ABORT);
	assert_int_equal(child_status(fail_after_jump, FAIL_ASSERT), REAL_ASSERT);
}

/* A real library: ngtcp2 asserts the length of a connection ID, which only we could get wrong. */
static void misuse_ngtcp2(void *argument)
{
	union {
		ngtcp2_cid cid;
		uint8_t space[128]; /* for a library without assertions */
	} to;
	static const uint8_t from[64];

	(void)argument;
	ngtcp2_cid_init(&to.cid, from, NGTCP2_MAX_CIDLEN + 1);
}

static void test_library(void **state)
{
	(void)state;
	if (qs_trap_run(misuse_ngtcp2, NULL)) {
		print_message("this libngtcp2 was built without assertions\n");
		skip();
	}
	assert_non_null(strstr(qs_trap_state.what, "NGTCP2_MAX_CIDLEN"));
}

/* libc's own failures must not be trapped: its locks are held and its heap is corrupt. */
static void corrupt_heap(void *argument)
{
	void *volatile block = malloc(100);

	(void)argument;
	free(block);
	free(block);
}

static void trap_and_corrupt_heap(void *argument)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	if (!freopen("/dev/null", "w", stderr))
		_exit(98);
	if (!qs_trap_run(corrupt_heap, argument))
		_exit(99);
}

static void test_libc_is_not_trapped(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); /* it looks after the heap itself */
	assert_int_equal(child_status(trap_and_corrupt_heap, FAIL_NOT), -SIGABRT);
}

static void test_text(void **state)
{
	static char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	qs_trap_catch("nobody listens");
	if (!QS_TRAP_ENTER()) {
		qs_trap_catch(text);
		fail();
	}
	assert_int_equal(strlen(qs_trap_state.what), sizeof(qs_trap_state.what) - 1);
	if (!QS_TRAP_ENTER()) {
		qs_trap_catch(NULL);
		fail();
	}
	assert_string_equal(qs_trap_state.what, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),	cmocka_unit_test(test_macro),
		cmocka_unit_test(test_thread),	cmocka_unit_test(test_outside),
		cmocka_unit_test(test_library), cmocka_unit_test(test_libc_is_not_trapped),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
