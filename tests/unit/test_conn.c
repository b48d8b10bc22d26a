/* SPDX-License-Identifier: MIT */
/* How long a connection stays without a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "engine/conn_parts.h"
#include "engine/engine.h"
#include "engine/listen.h"

#define FEW 100u
#define MANY (QS_CONNS_MAX / 2 + 1)

static struct qs_engine engine;
static struct qs_rule rule = {.linger_ns = 7 * QS_NSEC};
static struct qs_endpoint endpoint = {.server = true};
static struct qs_listener listener = {.rule = &rule, .endpoints = {&endpoint}};

static uint64_t stay(bool server, unsigned n_conns, uint64_t streams)
{
	struct qs_conn conn = {.engine = &engine,
			       .endpoint = &endpoint,
			       .rule = &rule,
			       .server = server,
			       .streams_total = streams};

	engine.n_conns = n_conns;
	return qs_conn_stay(&conn);
}

static int setup(void **state)
{
	(void)state;
	TAILQ_INIT(&engine.listeners);
	TAILQ_INSERT_TAIL(&engine.listeners, &listener, link);
	return 0;
}

static void a_client_lingers(void **state)
{
	(void)state;
	assert_int_equal(stay(false, FEW, 1), 7 * QS_NSEC);
	assert_int_equal(stay(false, MANY, 1), 7 * QS_NSEC);
	rule.stream_per_connection = true;
	assert_int_equal(stay(false, FEW, 1), 0);
	rule.stream_per_connection = false;
}

static void a_server_keeps_what_its_client_keeps(void **state)
{
	(void)state;
	assert_true(stay(true, FEW, 0) == UINT64_MAX);
	assert_true(stay(true, FEW, 1) == UINT64_MAX);
	engine.stopping = true;
	assert_int_equal(stay(true, FEW, 1), 0);
	engine.stopping = false;
}

/* One host could take all places with connections that it never uses. */
static void not_when_places_are_scarce(void **state)
{
	(void)state;
	assert_int_equal(stay(true, MANY, 0), 10 * QS_NSEC);
	assert_int_equal(stay(true, MANY, 1), 60 * QS_NSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_lingers),
		cmocka_unit_test(a_server_keeps_what_its_client_keeps),
		cmocka_unit_test(not_when_places_are_scarce),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
