/* SPDX-License-Identifier: MIT */
/* quicshim-status: its protocol reader against good and hostile engines. */
#include "status_answer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define LONG_MS 60000 /* an answer comes, however loaded the machine */

static void expect(const struct answer *a, int expected)
{
	struct qs_snapshot s;

	assert_int_equal(read_answer(a, true, LONG_MS, &s), expected);
	if (expected < 0) {
		assert_int_equal(s.head.n_connections + s.head.n_streams + s.head.n_listeners, 0);
		assert_null(s.connections);
	}
	qs_snapshot_fini(&s);
}

static void reads_a_good_answer(void **state)
{
	struct qs_snapshot s;
	struct answer a;

	(void)state;
	answer_good(&a);
	assert_int_equal(read_answer(&a, true, LONG_MS, &s), 0);
	assert_int_equal(s.head.pid, 4711);
	assert_string_equal(s.connections[0].sni, "db.example.com");
	assert_int_equal(s.streams[0].stream, 4);
	assert_int_equal(s.listeners[0].accepted, 2);
	qs_snapshot_fini(&s);
}

static void every_cut_is_an_error(void **state)
{
	struct answer whole, a;

	(void)state;
	answer_good(&whole);
	for (size_t len = 0; len < whole.len; len++) {
		a = whole;
		a.len = len;
		expect(&a, len == 0 ? -EPIPE : -EPROTO);
	}
	a = whole;
	put(&a, "x", 1);
	expect(&a, -EPROTO);
}

static void refuses_a_wrong_head(void **state)
{
	struct qs_status_head head;
	struct answer a;

	(void)state;
#define WITH(change, expected)                                                                     \
	do {                                                                                       \
		head = head_make(0, 0, 0);                                                         \
		change;                                                                            \
		a.len = 0;                                                                         \
		put(&a, &head, sizeof(head));                                                      \
		expect(&a, expected);                                                              \
	} while (0)
	WITH((void)0, 0);
	WITH(head.magic++, -EPROTO);
	WITH(head.version++, -EPROTONOSUPPORT);
	WITH(head.engine++, -EPROTO);
	WITH(head.thread = 2, -EPROTO);
	WITH(head.n_connections = UINT32_MAX, -EPROTO);
	WITH(head.n_streams = QS_STATUS_ENTRIES_MAX + 1, -EPROTO);
	WITH(head.n_listeners = UINT32_MAX, -EPROTO);
	WITH(head.n_verdicts = QS_VERDICTS_MAX + 1, -EPROTO);
	WITH(head.n_failures = QS_FAILURES_MAX + 1, -EPROTO);
	/* Within the bound, but nothing comes: no memory for it either. */
	WITH(head.n_connections = QS_STATUS_ENTRIES_MAX, -EPROTO);
#undef WITH
}

static void refuses_wrong_entries(void **state)
{
	struct qs_status_head head;
	struct qs_status_connection c;
	struct qs_status_stream s;
	struct qs_status_listener l;
	struct qs_status_verdict v;
	struct qs_status_failure f;
	struct answer a;

	(void)state;
#define WITH(kind, entry, change)                                                                  \
	do {                                                                                       \
		head = head_make(0, 0, 0);                                                         \
		head.n_##kind##s = 1;                                                              \
		entry = kind##_make();                                                             \
		change;                                                                            \
		a.len = 0;                                                                         \
		put(&a, &head, sizeof(head));                                                      \
		put(&a, &entry, sizeof(entry));                                                    \
		expect(&a, -EPROTO);                                                               \
	} while (0)
	WITH(connection, c, c.state = QS_CONNECTION_CLOSING + 1);
	WITH(connection, c, c.peer.family = AF_UNIX);
	WITH(connection, c, c.server = 2);
	WITH(stream, s, s.state = QS_SLOT_ENDED + 1);
	WITH(stream, s, s.remote.family = 77);
	WITH(stream, s, s.reason = QS_REASON_MAX);
	WITH(listener, l, l.address.family = 1);
	WITH(verdict, v, v.reason = QS_REASON_MAX);
	WITH(verdict, v, v.cause = UINT32_MAX);
	WITH(verdict, v, v.server = 2);
	WITH(verdict, v, v.remote.family = 1);
	WITH(failure, f, f.reason = QS_REASON_MAX);
	WITH(failure, f, f.destination.family = 1);
#undef WITH
}

static void strings_are_made_safe(void **state)
{
	struct qs_status_head head = head_make(1, 0, 0);
	struct qs_status_connection c = connection_make();
	struct qs_snapshot s;
	struct answer a = {.len = 0};

	(void)state;
	memset(head.program, 'A', sizeof(head.program));
	memcpy(head.policy, "\033[2Jx\n\xff", 7);
	memset(c.sni, '\033', sizeof(c.sni));
	put(&a, &head, sizeof(head));
	put(&a, &c, sizeof(c));
	assert_int_equal(read_answer(&a, true, LONG_MS, &s), 0);
	assert_int_equal(strlen(s.head.program), sizeof(head.program) - 1);
	assert_memory_equal(s.head.policy, "?[2Jx??", 7);
	assert_int_equal(strspn(s.connections[0].sni, "?"), sizeof(c.sni) - 1);
	qs_snapshot_fini(&s);
}

static void a_silent_engine_costs_the_timeout(void **state)
{
	struct timespec before, after;
	struct qs_snapshot s;
	struct answer a;
	int64_t ms;

	(void)state;
	answer_good(&a);
	clock_gettime(CLOCK_MONOTONIC, &before);
	/* All is there but the end. */
	assert_int_equal(read_answer(&a, false, 50, &s), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	assert_in_range(ms, 45, 5000);
	a.len = 0;
	assert_int_equal(read_answer(&a, false, 1, &s), -ETIMEDOUT);
}

struct served {
	int fd;
	struct answer answer;
};

static void *serve_once(void *arg)
{
	struct served *served = arg;
	int fd = accept(served->fd, NULL, NULL);

	/* In small pieces, so that the reader must put them together. */
	for (size_t at = 0; fd >= 0 && at < served->answer.len; at += 100) {
		size_t len = served->answer.len - at;

		send(fd, served->answer.bytes + at, len < 100 ? len : 100, MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static void asks_an_engine_by_id(void **state)
{
	/* Other runs of this test share the name space. */
	const uint64_t id = ID ^ (uint64_t)getpid() << 32;
	struct served served;
	struct sockaddr_un addr;
	socklen_t len = qs_control_address(&addr, id, QS_CHANNEL_STATUS);
	struct qs_snapshot s;
	uint64_t *ids;
	pthread_t thread;
	bool found = false;
	int n;

	(void)state;
	assert_int_equal(qs_snapshot_ask(id, LONG_MS, &s), -ECONNREFUSED);
	served.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(served.fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(served.fd, 1), 0);
	n = qs_engines_find("/proc/net/unix", &ids);
	assert_true(n >= 1);
	for (int i = 0; i < n; i++)
		found |= ids[i] == id;
	assert_true(found);
	free(ids);

	answer_good(&served.answer);
	memcpy(served.answer.bytes + offsetof(struct qs_status_head, engine), &id, sizeof(id));
	assert_int_equal(pthread_create(&thread, NULL, serve_once, &served), 0);
	assert_int_equal(qs_snapshot_ask(id, LONG_MS, &s), 0);
	pthread_join(thread, NULL);
	/* The kernel's word counts, not the head's. */
	assert_int_equal(s.pid, getpid());
	assert_int_equal(s.uid, geteuid());
	qs_snapshot_fini(&s);
	/* It listens, but nobody answers. */
	assert_int_equal(qs_snapshot_ask(id, 30, &s), -ETIMEDOUT);
	close(served.fd);
}

static void finds_only_listening_status_names(void **state)
{
	static const char text[] = "Num       RefCount Protocol Flags    Type St Inode Path\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 1 "
				   "@quicshim/00000000000000ff/status\n"
				   "0000000000000000: 00000003 00000000 00000000 0001 03 2 "
				   "@quicshim/00000000000000aa/status\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 3 "
				   "@quicshim/00000000000000ff/stream\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 4 "
				   "quicshim/00000000000000ee/status\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 5 "
				   "@quicshim/00000000000000FF/status\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 6 "
				   "@quicshim/0000000000000001/status\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 7 "
				   "@quicshim/0000000000000002/statusx\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 8\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 9 @\n"
				   "junk\n\n"
				   "0000000000000000: 00000002 00000000 00010000 0001 01 6 "
				   "@quicshim/0000000000000001/status";
	int fd = memfd_create("unix", MFD_CLOEXEC);
	char path[64];
	uint64_t *ids;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(qs_engines_find(path, &ids), 2);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 0xff);
	free(ids);
	close(fd);
	assert_int_equal(qs_engines_find("/nonexistent", &ids), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_good_answer),
		cmocka_unit_test(every_cut_is_an_error),
		cmocka_unit_test(refuses_a_wrong_head),
		cmocka_unit_test(refuses_wrong_entries),
		cmocka_unit_test(strings_are_made_safe),
		cmocka_unit_test(a_silent_engine_costs_the_timeout),
		cmocka_unit_test(asks_an_engine_by_id),
		cmocka_unit_test(finds_only_listening_status_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
