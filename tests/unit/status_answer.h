/* SPDX-License-Identifier: MIT */
/* An engine's answer for the tests of quicshim-status. */
#ifndef QS_TEST_STATUS_ANSWER_H
#define QS_TEST_STATUS_ANSWER_H

#include "status_view.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#define ID 0x0123456789abcdefull
#define ANSWER_MAX 16384

struct answer {
	unsigned char bytes[ANSWER_MAX];
	size_t len;
};

static inline void put(struct answer *a, const void *data, size_t len)
{
	assert_true(a->len + len <= sizeof(a->bytes));
	memcpy(a->bytes + a->len, data, len);
	a->len += len;
}

static inline struct qs_addr v4(uint16_t port)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {192, 0, 2, 1}};
}

static inline struct qs_addr v6(uint16_t port)
{
	return (struct qs_addr){
		.family = AF_INET6, .port = port, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};
}

static inline struct qs_status_head head_make(uint32_t connections, uint32_t streams,
					      uint32_t listeners)
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

static inline struct qs_status_connection connection_make(void)
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

static inline struct qs_status_stream stream_make(void)
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

static inline struct qs_status_listener listener_make(void)
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

static inline struct qs_status_verdict verdict_make(void)
{
	return (struct qs_status_verdict){
		.age_ms = 1500,
		.pid = 4711,
		.program = "nginx",
		.remote = v4(5432),
		.reason = QS_REASON_REMEMBERED,
		.cause = QS_REASON_TIMEOUT,
		.rule_line = 12,
		.retry_ms = 20000,
	};
}

static inline struct qs_status_failure failure_make(void)
{
	return (struct qs_status_failure){
		.destination = v4(443),
		.alpn = "quicshim",
		.reason = QS_REASON_TIMEOUT,
		.failures = 2,
		.retry_ms = 18500,
	};
}

static inline void answer_good(struct answer *a)
{
	struct qs_status_head head = head_make(1, 1, 1);
	struct qs_status_connection c = connection_make();
	struct qs_status_stream s = stream_make();
	struct qs_status_listener l = listener_make();
	struct qs_status_verdict v = verdict_make();
	struct qs_status_failure f = failure_make();

	head.n_verdicts = head.n_failures = 1;
	a->len = 0;
	put(a, &head, sizeof(head));
	put(a, &c, sizeof(c));
	put(a, &s, sizeof(s));
	put(a, &l, sizeof(l));
	put(a, &v, sizeof(v));
	put(a, &f, sizeof(f));
}

/* What the reader makes of `a`, the other end closed after it or left open. */
static inline int read_answer(const struct answer *a, bool close_it, int timeout_ms,
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

#endif
