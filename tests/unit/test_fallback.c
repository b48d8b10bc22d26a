/* SPDX-License-Identifier: MIT */
/* Memory of where QUIC failed: back-off, forgetting, bound; and the last verdicts. */
#include "fallback.h"

#include "conn.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct qs_engine engine;
static struct qs_rule rule;

static int begin(void **state)
{
	(void)state;
	memset(&engine, 0, sizeof(engine));
	TAILQ_INIT(&engine.fallbacks_by_age);
	engine.now_ns = QS_NSEC;
	rule = (struct qs_rule){.alpn = "test", .retry_after_ns = QS_NSEC};
	return 0;
}

static int end(void **state)
{
	(void)state;
	qs_fallback_fini(&engine);
	return 0;
}

static struct qs_conn_key key_of(uint16_t port)
{
	return (struct qs_conn_key){.peer = {.family = AF_INET, .port = port, .ip = {192, 0, 2, 1}},
				    .rule = &rule};
}

/* Fails again as soon as that may be noted; returns the pause that follows. */
static uint64_t fail_again(const struct qs_conn_key *key)
{
	const struct qs_fallback *entry = qs_fallback_find(&engine, key);

	if (entry != NULL)
		engine.now_ns = entry->until_ns;
	qs_fallback_note(&engine, key, QS_REASON_TIMEOUT);
	return qs_fallback_find(&engine, key)->until_ns - engine.now_ns;
}

static void pauses_double_to_a_bound(void **state)
{
	struct qs_conn_key key = key_of(1);
	uint64_t wanted = QS_NSEC;

	(void)state;
	assert_null(qs_fallback_find(&engine, &key));
	for (int i = 0; i < 7; i++, wanted *= 2)
		assert_int_equal(fail_again(&key), wanted);
	assert_int_equal(fail_again(&key), 64 * QS_NSEC);
	assert_int_equal(qs_fallback_find(&engine, &key)->failures, 8);
}

static void a_crowd_counts_once(void **state)
{
	struct qs_conn_key key = key_of(1);
	uint64_t until;

	(void)state;
	qs_fallback_note(&engine, &key, QS_REASON_REFUSED);
	until = qs_fallback_find(&engine, &key)->until_ns;
	engine.now_ns += QS_NSEC / 2;
	qs_fallback_note(&engine, &key, QS_REASON_TIMEOUT);
	assert_int_equal(qs_fallback_find(&engine, &key)->until_ns, until);
	assert_int_equal(qs_fallback_find(&engine, &key)->failures, 1);
	assert_int_equal(qs_fallback_find(&engine, &key)->reason, QS_REASON_REFUSED);
}

static void success_forgets(void **state)
{
	struct qs_conn_key key = key_of(1), other = key_of(2);

	(void)state;
	fail_again(&key);
	fail_again(&key);
	fail_again(&other);
	qs_fallback_forget(&engine, &key);
	qs_fallback_forget(&engine, &key);
	assert_null(qs_fallback_find(&engine, &key));
	assert_non_null(qs_fallback_find(&engine, &other));
	assert_int_equal(fail_again(&key), QS_NSEC);
}

static void a_bad_certificate_is_no_reason(void **state)
{
	struct qs_conn_key key = key_of(1);

	(void)state;
	fail_again(&key);
	qs_fallback_note(&engine, &key, QS_REASON_CERTIFICATE);
	assert_null(qs_fallback_find(&engine, &key));
	rule.plain_on_bad_certificate = true;
	qs_fallback_note(&engine, &key, QS_REASON_CERTIFICATE);
	assert_int_equal(qs_fallback_find(&engine, &key)->reason, QS_REASON_CERTIFICATE);
}

static void what_differs_is_remembered_apart(void **state)
{
	struct qs_rule other_rule = {.alpn = "other", .retry_after_ns = QS_NSEC};
	struct qs_conn_key key = key_of(1), marked = key, routed = key, named = key;

	(void)state;
	marked.mark = 7;
	strcpy(routed.device, "eth1");
	named.rule = &other_rule;
	fail_again(&key);
	assert_null(qs_fallback_find(&engine, &marked));
	assert_null(qs_fallback_find(&engine, &routed));
	assert_null(qs_fallback_find(&engine, &named));
	strcpy(key.name, "a.example"); /* one address has many names, and one path */
	assert_non_null(qs_fallback_find(&engine, &key));
}

static void the_oldest_makes_room(void **state)
{
	struct qs_conn_key key, oldest = key_of(1), renewed = key_of(2);

	(void)state;
	for (unsigned i = 1; i <= QS_FAILURES_MAX; i++) {
		key = key_of((uint16_t)i);
		qs_fallback_note(&engine, &key, QS_REASON_REFUSED);
	}
	fail_again(&renewed);
	for (unsigned i = 0; i < 2; i++) {
		key = key_of((uint16_t)(QS_FAILURES_MAX + 1 + i));
		qs_fallback_note(&engine, &key, QS_REASON_REFUSED);
	}
	assert_int_equal(engine.n_fallbacks, QS_FAILURES_MAX);
	assert_null(qs_fallback_find(&engine, &oldest));
	assert_non_null(qs_fallback_find(&engine, &renewed));
	key = key_of(3);
	assert_null(qs_fallback_find(&engine, &key));
}

static void verdicts_are_the_last_ones(void **state)
{
	struct qs_status_verdict verdict = {.reason = QS_REASON_TIMEOUT}, list[QS_VERDICTS_MAX];

	(void)state;
	assert_int_equal(qs_verdict_list(&engine, list), 0);
	for (int i = 1; i <= 100; i++) {
		verdict.rule_line = (uint32_t)i;
		engine.now_ns += QS_MSEC;
		qs_verdict_keep(&engine, &verdict);
	}
	assert_int_equal(qs_verdict_list(&engine, list), QS_VERDICTS_MAX);
	assert_int_equal(list[0].rule_line, 100);
	assert_int_equal(list[0].age_ms, 0);
	assert_int_equal(list[QS_VERDICTS_MAX - 1].rule_line, 100 - QS_VERDICTS_MAX + 1);
	assert_int_equal(list[QS_VERDICTS_MAX - 1].age_ms, QS_VERDICTS_MAX - 1);
	assert_int_equal(engine.totals.tcp[QS_REASON_TIMEOUT], 100);
}

static void reasons_follow_errnos(void **state)
{
	(void)state;
	assert_int_equal(qs_fallback_reason(EACCES), QS_REASON_CERTIFICATE);
	assert_int_equal(qs_fallback_reason(ECONNREFUSED), QS_REASON_REFUSED);
	assert_int_equal(qs_fallback_reason(ENETUNREACH), QS_REASON_UNREACHABLE);
	assert_int_equal(qs_fallback_reason(ETIMEDOUT), QS_REASON_TIMEOUT);
	assert_int_equal(qs_fallback_reason(ENOBUFS), QS_REASON_FAILED);
	assert_string_equal(qs_reason_name(QS_REASON_NO_ALPN), "no-alpn");
	assert_string_equal(qs_reason_name(QS_REASON_MAX), "");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pauses_double_to_a_bound),
		CASE(a_crowd_counts_once),
		CASE(success_forgets),
		CASE(a_bad_certificate_is_no_reason),
		CASE(what_differs_is_remembered_apart),
		CASE(the_oldest_makes_room),
		CASE(verdicts_are_the_last_ones),
		CASE(reasons_follow_errnos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
