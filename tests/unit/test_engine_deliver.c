/* SPDX-License-Identifier: MIT */
/* A listener whose queue stays full: streams wait for it, but neither for ever nor without number. The clock is ours. */
#include "engine_kit_stream.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* As engine/deliver.c has them. */
#define LIMIT_S 10
#define WAITING_MAX 1024

static int listener;
static uint16_t port;
static _Atomic long ahead_s;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && id == CLOCK_MONOTONIC)
		ts->tv_sec += atomic_load(&ahead_s);
	return rc;
}

/* A second passes, and all that was due is done. */
static void second(void)
{
	atomic_fetch_add(&ahead_s, 1);
	kit_wake();
	for (int i = 0; i < 10; i++)
		kit_pause();
	kit_status();
}

static int start(void **state)
{
	(void)state;
	kit_start(kit_policy(""));
	kit_backlog = 1;
	port = 0;
	listener = kit_listen(KIT_ONE, &port);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(listener);
	kit_backlog = 512;
	kit_stop();
	return 0;
}

static void listener_counts(uint64_t *accepted, uint64_t *refused)
{
	const struct kit_status *status = kit_status();
	struct qs_status_listener one;

	assert_int_equal(status->head.n_listeners, 1);
	memcpy(&one,
	       status->bytes + sizeof(status->head) +
		       status->head.n_connections * sizeof(struct qs_status_connection) +
		       status->head.n_streams * sizeof(struct qs_status_stream),
	       sizeof(one));
	*accepted = one.accepted;
	*refused = one.refused;
}

static uint64_t accepted(void)
{
	uint64_t yes, no;

	listener_counts(&yes, &no);
	return yes;
}

static uint64_t refused(void)
{
	uint64_t yes, no;

	listener_counts(&yes, &no);
	return no;
}

/* 0, or the errno of one whose connection was warm: connect succeeds, the refusal comes with the first read. */
static int refusal(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int error = kit_connect_finish(fd);

	if (error != 0 || poll(&pfd, 1, 0) == 0)
		return error;
	return kit_end_errno(fd);
}

/* AF_UNIX's queue holds one more than the backlog. */
#define QUEUED 2
#define WAITING 5

/* Every other client has written. That its bytes were taken tells it from one that was refused: quicshim(7). */
static bool writes(int i)
{
	return i % 2 == 0;
}

static void refuses_when_it_stays_full(void **state)
{
	int clients[QUEUED + WAITING], n_refused = 0;

	(void)state;
	for (int i = 0; i < QUEUED + WAITING; i++) {
		clients[i] = kit_connect(KIT_ONE, port);
		if (writes(i))
			kit_write(clients[i], "x", 1);
	}
	KIT_UNTIL(kit_status()->head.n_streams == 2 * (QUEUED + WAITING));
	assert_int_equal(accepted(), QUEUED);
	for (int i = 0; i < LIMIT_S - 2; i++)
		second();
	assert_int_equal(refused(), 0);
	for (int i = 0; i < 4; i++)
		second();
	KIT_UNTIL(refused() == WAITING);
	/* The server's part of them, and the client's. */
	KIT_UNTIL(kit_status()->head.totals.streams_refused == 2 * WAITING);
	assert_int_equal(accepted(), QUEUED);
	for (int i = 0; i < QUEUED + WAITING; i++) {
		int error = refusal(clients[i]);

		if (error != 0)
			assert_int_equal(error, writes(i) ? ECONNRESET : ECONNREFUSED);
		n_refused += error != 0;
	}
	assert_int_equal(n_refused, WAITING);
	/* Those in the queue stand there as before. */
	for (int i = 0; i < QUEUED; i++)
		close(kit_accept(listener));
	for (int i = 0; i < QUEUED + WAITING; i++)
		close(clients[i]);
	/* And there is room for new ones. */
	clients[0] = kit_connect(KIT_ONE, port);
	clients[1] = kit_accept(listener);
	kit_ping(clients[0], clients[1], 'n');
	close(clients[0]);
	close(clients[1]);
}

static void room_before_the_limit_serves(void **state)
{
	int clients[QUEUED + WAITING];

	(void)state;
	for (int i = 0; i < QUEUED + WAITING; i++) {
		clients[i] = kit_connect(KIT_ONE, port);
		kit_write(clients[i], "x", 1);
	}
	KIT_UNTIL(kit_status()->head.n_streams == 2 * (QUEUED + WAITING));
	for (int i = 0; i < LIMIT_S - 2; i++)
		second();
	for (int i = 0; i < QUEUED + WAITING; i++) {
		int server = kit_accept(listener);

		assert_int_equal(kit_read(server, (char[1]){0}, 1), 1);
		close(server);
	}
	for (int i = 0; i < QUEUED + WAITING; i++) {
		assert_int_equal(kit_end_errno(clients[i]), 0);
		close(clients[i]);
	}
	assert_int_equal(refused(), 0);
}

/* What is more than may wait is refused at once: the clock stands. */
static void only_so_many_wait(void **state)
{
	enum { EXTRA = 20, ALL = QUEUED + WAITING_MAX + EXTRA };
	static int clients[ALL];
	int n_refused = 0;

	(void)state;
	for (int i = 0; i < ALL; i++)
		clients[i] = kit_connect(KIT_ONE, port);
	KIT_UNTIL(refused() == EXTRA);
	KIT_UNTIL(kit_status()->head.totals.streams_refused == 2 * EXTRA);
	assert_int_equal(accepted(), QUEUED);
	for (int i = 0; i < ALL; i++) {
		n_refused += refusal(clients[i]) == ECONNREFUSED;
		close(clients[i]);
	}
	assert_int_equal(n_refused, EXTRA);
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, start, stop)
	static const struct CMUnitTest tests[] = {
		WITH_ENGINE(refuses_when_it_stays_full),
		WITH_ENGINE(room_before_the_limit_serves),
		WITH_ENGINE(only_so_many_wait),
	};
	struct rlimit files;

	/* A stream of both ends here takes three. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	if (files.rlim_max < 4 * WAITING_MAX || setrlimit(RLIMIT_NOFILE, &files) < 0) {
		fprintf(stderr, "SKIP: too few descriptors are allowed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
