/* SPDX-License-Identifier: MIT */
/* quicshim-status: its tables and its JSON. */
#include "status_answer.h"

#include <stdlib.h>

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
		"worker",
		"version",
		"policy",
		"uptime_ms",
		"totals",
		"streams_opened",
		"options_ignored",
		"rings",
		"ring_calls_made",
		"ring_calls_refused",
		"tcp",
		"refused",
		"unreachable",
		"timeout",
		"no-alpn",
		"certificate",
		"no-stream",
		"failed",
		"remembered",
		"client",
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
		"path_changes",
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
		"verdict",
		"reason",
		"listeners",
		"address",
		"endpoint",
		"alpn",
		"pid",
		"program",
		"accepted",
		"refused",
		"rule",
		"accepted_tcp",
		"verdicts",
		"age_ms",
		"role",
		"pid",
		"program",
		"remote",
		"verdict",
		"reason",
		"cause",
		"retry_ms",
		"rule",
		"failures",
		"destination",
		"alpn",
		"reason",
		"failures",
		"retry_ms",
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

/* Columns and lines of mode prefer stand there only where there is something to say. */
static void tcp_shows_where_there_is_some(void **state)
{
	struct qs_snapshot s;
	struct answer a;
	char *text;

	(void)state;
	answer_good(&a);
	assert_int_equal(read_answer(&a, true, 1000, &s), 0);
	text = print_form(&s, false, false);
	assert_non_null(strstr(text, "QUIC FAILED AT"));
	assert_non_null(strstr(text, "remembered  timeout  20.0s  1.5s"));
	assert_null(strstr(text, "VERDICT"));
	free(text);
	s.head.n_verdicts = s.head.n_failures = 0;
	s.streams[0].reason = QS_REASON_REFUSED;
	s.listeners[0].accepted_tcp = 7;
	s.head.totals.tcp[QS_REASON_REFUSED] = 1;
	s.head.totals.tcp[QS_REASON_CLIENT] = 7;
	text = print_form(&s, false, false);
	assert_non_null(strstr(text, "  tcp          1 refused, 7 client\n"));
	assert_non_null(strstr(text, "tcp: refused"));
	assert_null(strstr(text, "QUIC FAILED AT"));
	assert_true(widest_line(text) <= QS_WIDTH);
	free(text);
	qs_snapshot_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_short),
		cmocka_unit_test(tables_fit_the_screen),
		cmocka_unit_test(json_keeps_its_keys_and_order),
		cmocka_unit_test(tcp_shows_where_there_is_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
