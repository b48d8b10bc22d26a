/* SPDX-License-Identifier: MIT */
/* quicshim-status: its protocol reader against good and hostile engines, and its two forms of output. */
#include "status_view.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ID 0x0123456789abcdefull
#define ANSWER_MAX 16384

struct answer {
	unsigned char bytes[ANSWER_MAX];
	size_t len;
};

static void put(struct answer *a, const void *data, size_t len)
{
	assert_true(a->len + len <= sizeof(a->bytes));
	memcpy(a->bytes + a->len, data, len);
	a->len += len;
}

static struct qs_addr v4(uint16_t port)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {192, 0, 2, 1}};
}

static struct qs_addr v6(uint16_t port)
{
	return (struct qs_addr){
		.family = AF_INET6, .port = port, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};
}

static struct qs_status_head head_make(uint32_t connections, uint32_t streams, uint32_t listeners)
{
	struct qs_status_head head = {
		.magic = QS_STATUS_MAGIC,
		.version = QS_PROTOCOL_VERSION,
		.engine = ID,
		.pid = 4711,
		.uid = 33,
		.uptime_ms = 192000,
		.program = "nginx",
		.release = "0.1.0",
		.policy = "/etc/quicshim/policy.conf",
		.n_connections = connections,
		.n_streams = streams,
		.n_listeners = listeners,
		.totals = {.streams_opened = 1, .streams_accepted = 2, .bytes_sent = UINT64_MAX},
	};

	return head;
}

static struct qs_status_connection connection_make(void)
{
	return (struct qs_status_connection){
		.id = 7,
		.server = 1,
		.state = QS_CONNECTION_OPEN,
		.local = v4(443),
		.peer = v6(40000),
		.alpn = "quicshim",
		.sni = "db.example.com",
		.rtt_us = 1234,
		.cwnd = 1500000,
		.path_mtu = 1452,
		.streams = 1,
		.age_ms = 61000,
	};
}

static struct qs_status_stream stream_make(void)
{
	return (struct qs_status_stream){
		.connection = 7,
		.stream = 4,
		.server = 1,
		.state = QS_SLOT_OPEN,
		.pid = 4712,
		.program = "nginx",
		.local = v4(80),
		.remote = v6(50000),
		.sent = 1048576,
		.received = 17,
		.age_ms = 250,
		.rule_line = 12,
	};
}

static struct qs_status_listener listener_make(void)
{
	return (struct qs_status_listener){
		.address = v4(80),
		.endpoint = v4(443),
		.alpn = "quicshim",
		.pid = 4711,
		.program = "nginx",
		.accepted = 2,
		.rule_line = 3,
	};
}

static void answer_good(struct answer *a)
{
	struct qs_status_head head = head_make(1, 1, 1);
	struct qs_status_connection c = connection_make();
	struct qs_status_stream s = stream_make();
	struct qs_status_listener l = listener_make();

	a->len = 0;
	put(a, &head, sizeof(head));
	put(a, &c, sizeof(c));
	put(a, &s, sizeof(s));
	put(a, &l, sizeof(l));
}

/* What the reader makes of `a`, the other end closed after it or left open. */
static int read_answer(const struct answer *a, bool close_it, int timeout_ms,
		       struct qs_snapshot *out)
{
	int fds[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	if (a->len)
		assert_int_equal(send(fds[1], a->bytes, a->len, MSG_DONTWAIT), a->len);
	if (close_it)
		shutdown(fds[1], SHUT_WR);
	ret = qs_snapshot_read(fds[0], ID, timeout_ms, out);
	close(fds[0]);
	close(fds[1]);
	return ret;
}

static void expect(const struct answer *a, int expected)
{
	struct qs_snapshot s;

	assert_int_equal(read_answer(a, true, 1000, &s), expected);
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
	assert_int_equal(read_answer(&a, true, 1000, &s), 0);
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
	WITH(listener, l, l.address.family = 1);
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
	assert_int_equal(read_answer(&a, true, 1000, &s), 0);
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
	assert_int_equal(qs_snapshot_ask(id, 1000, &s), -ECONNREFUSED);
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
	assert_int_equal(qs_snapshot_ask(id, 1000, &s), 0);
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

static void texts_are_short(void **state)
{
	char out[QS_TEXT_MAX];
	struct qs_addr none = {0}, four = v4(80), six = v6(443);
	struct qs_status_head head = head_make(0, 0, 0);

	(void)state;
	assert_string_equal(qs_text_addr(out, &none), "");
	assert_string_equal(qs_text_addr(out, &four), "192.0.2.1:80");
	assert_string_equal(qs_text_addr(out, &six), "[2001:db8::1]:443");
	six.scope_id = 1;
	assert_string_equal(qs_text_addr(out, &six), "[2001:db8::1%lo]:443");
	assert_string_equal(qs_text_bytes(out, 1023), "1023");
	assert_string_equal(qs_text_bytes(out, 1024), "1.0K");
	assert_string_equal(qs_text_bytes(out, 1024 * 1024 - 1), "1.0M");
	assert_string_equal(qs_text_bytes(out, UINT64_MAX), "16.0E");
	assert_string_equal(qs_text_age(out, 999), "999ms");
	assert_string_equal(qs_text_age(out, 1999), "1.9s");
	assert_string_equal(qs_text_age(out, 192000), "3m12s");
	assert_string_equal(qs_text_age(out, 3600000), "1h00m");
	assert_string_equal(qs_text_age(out, UINT64_MAX), "213503982334d14h");
	assert_string_equal(qs_text_rtt(out, 0), "-");
	assert_string_equal(qs_text_rtt(out, 87), "87us");
	assert_string_equal(qs_text_rtt(out, 1234), "1.2ms");
	assert_string_equal(qs_text_rtt(out, 1500000), "1.50s");
	assert_string_equal(qs_text_rule(out, &head, 12), "policy.conf:12");
	assert_string_equal(qs_text_rule(out, &head, 0), "");
	head.policy[0] = '\0';
	assert_string_equal(qs_text_rule(out, &head, 3), "policy:3");
}

/* Prints one snapshot; returns the text for the caller to free. */
static char *print_form(struct qs_snapshot *s, bool json, bool verbose)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(json ? qs_status_json(f, s, 1) : qs_status_text(f, s, 1, verbose), 0);
	fclose(f);
	return text;
}

static size_t widest_line(const char *text)
{
	size_t widest = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");

		widest = len > widest ? len : widest;
		text += len + (text[len] == '\n');
	}
	return widest;
}

static void tables_fit_the_screen(void **state)
{
	struct qs_snapshot s;
	struct answer a;
	char *text;

	(void)state;
	answer_good(&a);
	assert_int_equal(read_answer(&a, true, 1000, &s), 0);
	for (int i = 0; i < 16; i++)
		s.streams[0].remote.ip[i] = s.connections[0].peer.ip[i] = (uint8_t)(0xf0 + i);
	memset(s.connections[0].sni, 'n', sizeof(s.connections[0].sni) - 1);
	memset(s.connections[0].alpn, 'a', sizeof(s.connections[0].alpn) - 1);
	text = print_form(&s, false, false);
	assert_true(widest_line(text) <= QS_WIDTH);
	assert_non_null(strstr(text, "nnn...nnn"));
	free(text);
	text = print_form(&s, false, true);
	assert_non_null(strstr(text, "[f0f1:f2f3:f4f5:f6f7:f8f9:fafb:fcfd:feff]:50000"));
	assert_null(strstr(text, "..."));
	free(text);
	qs_snapshot_fini(&s);
}

static void json_keeps_its_keys_and_order(void **state)
{
	static const char *const keys[] = {
		"engines",
		"id",
		"pid",
		"uid",
		"program",
		"placement",
		"version",
		"policy",
		"uptime_ms",
		"totals",
		"streams_opened",
		"options_ignored",
		"connections",
		"id",
		"role",
		"peer",
		"local",
		"alpn",
		"sni",
		"state",
		"rtt_us",
		"min_rtt_us",
		"cwnd",
		"in_flight",
		"sent_packets",
		"lost_packets",
		"received_packets",
		"path_mtu",
		"streams",
		"bytes_sent",
		"bytes_received",
		"age_ms",
		"streams",
		"connection",
		"stream",
		"role",
		"pid",
		"program",
		"local",
		"remote",
		"state",
		"sent",
		"received",
		"age_ms",
		"rule",
		"listeners",
		"address",
		"endpoint",
		"alpn",
		"pid",
		"program",
		"accepted",
		"refused",
		"rule",
	};
	struct qs_snapshot s;
	struct answer a;
	const char *at;
	char *text, key[64];

	(void)state;
	answer_good(&a);
	assert_int_equal(read_answer(&a, true, 1000, &s), 0);
	text = print_form(&s, true, false);
	at = text;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(key, sizeof(key), "\"%s\":", keys[i]);
		at = strstr(at, key);
		if (!at)
			fail_msg("%s is missing or out of order", keys[i]);
		at += strlen(key);
	}
	assert_non_null(strstr(text, "\"id\":\"0123456789abcdef\""));
	assert_non_null(strstr(text, "\"bytes_sent\":18446744073709551615"));
	assert_non_null(strstr(text, "\"rule\":\"policy.conf:12\""));
	free(text);
	/* What is not known yet is null. */
	s.streams[0].stream = -1;
	s.streams[0].connection = 0;
	text = print_form(&s, true, false);
	assert_non_null(strstr(text, "\"connection\":null"));
	assert_non_null(strstr(text, "\"stream\":null"));
	free(text);
	qs_snapshot_fini(&s);
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
		cmocka_unit_test(texts_are_short),
		cmocka_unit_test(tables_fit_the_screen),
		cmocka_unit_test(json_keeps_its_keys_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
