// SPDX-License-Identifier: MIT
// Who takes a new client: ours or a sibling's, by protocol, name and address; equals share.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "group_kit.h"
#include "listen.h"
#include "route.h"

#include <stdio.h>
#include <unistd.h>

#define N 4 /* the first one decides */

static struct party parties[N];
static struct qs_listener listener; /* of the first one */
static struct qs_addr at;

static int all_join(void **state)
{
	(void)state;
	at = party_address(1);
	for (unsigned i = 0; i < N; i++)
		party_join(&parties[i], at);
	parties_settle(parties, N);
	listener = (struct qs_listener){.id = 7, .endpoints = {&parties[0].endpoint}};
	TAILQ_INSERT_TAIL(&parties[0].engine.listeners, &listener, link);
	return 0;
}

static int all_leave(void **state)
{
	(void)state;
	TAILQ_INIT(&parties[0].engine.listeners);
	for (unsigned i = 0; i < N; i++)
		party_leave(&parties[i]);
	return 0;
}

/* The member serves these protocols, each under a name ("" = any); all else it does not any more. */
static void serves(unsigned i, unsigned n, const char *const (*what)[2])
{
	struct qs_serve list[4];

	for (unsigned k = 0; k < n; k++) {
		list[k] = (struct qs_serve){.id = 7 + k, .endpoint = at, .tcp = at};
		snprintf(list[k].alpn, sizeof(list[k].alpn), "%s", what[k][0]);
		snprintf(list[k].name, sizeof(list[k].name), "%s", what[k][1]);
	}
	qs_member_publish(parties[i].member, list, n);
	parties_settle(parties, N);
}

static void serves_one(unsigned i, const char *alpn, const char *name)
{
	const char *const what[][2] = {{alpn, name}};

	serves(i, 1, what);
}

/* The member; -1 = nobody, and *kind says why. */
static int taker(const char *alpn, const char *name, uint32_t hash, enum qs_route_kind *kind)
{
	struct qs_route route;
	bool found = qs_route_find(&parties[0].endpoint, &at, alpn, name, hash, &route);

	*kind = route.kind;
	if (!found)
		return -1;
	if (route.kind == QS_ROUTE_LISTENER) {
		assert_ptr_equal(route.listener, &listener);
		return 0;
	}
	assert_int_equal(route.kind, QS_ROUTE_LINK);
	return route.link->peer.slot;
}

static void why_nobody(void **state)
{
	enum qs_route_kind kind;

	(void)state;
	assert_int_equal(taker("h3", "a.test", 1, &kind), -1);
	assert_int_equal(kind, QS_ROUTE_NO_PROTOCOL);
	serves_one(1, "h3", "b.test");
	assert_int_equal(taker("h3", "a.test", 1, &kind), -1);
	assert_int_equal(kind, QS_ROUTE_NO_NAME);
	assert_int_equal(taker("smb", "b.test", 1, &kind), -1);
	assert_int_equal(kind, QS_ROUTE_NO_PROTOCOL);
	assert_int_equal(taker("h3", "b.test", 1, &kind), 1);
}

static void the_better_name_wins_and_then_ours(void **state)
{
	enum qs_route_kind kind;

	(void)state;
	serves_one(0, "h3", "");
	serves_one(1, "h3", "");
	serves_one(2, "h3", "*.b.test");
	serves_one(3, "h3", "a.b.test");
	for (uint32_t hash = 0; hash < 64; hash++) {
		assert_int_equal(taker("h3", "c.test", hash, &kind), 0);
		assert_int_equal(taker("h3", "", hash, &kind), 0);
		assert_int_equal(taker("h3", "x.b.test", hash, &kind), 2);
		assert_int_equal(taker("h3", "a.b.test", hash, &kind), 3);
	}
	/* One that is ending does not count, before anybody was told. */
	listener.gone = true;
	assert_int_equal(taker("h3", "c.test", 1, &kind), 1);
	listener.gone = false;
}

/* Each client is somebody's, for good, and everybody gets clients. */
static void equals_share(void **state)
{
	unsigned n[N] = {0};
	enum qs_route_kind kind;

	(void)state;
	for (unsigned i = 1; i < N; i++)
		serves_one(i, "h3", "");
	for (uint32_t hash = 0; hash < 3000; hash++) {
		uint32_t spread = hash * 2654435761u;
		int who = taker("h3", "a.test", spread, &kind);

		assert_in_range(who, 1, N - 1);
		assert_int_equal(taker("h3", "a.test", spread, &kind), who);
		n[who]++;
	}
	for (unsigned i = 1; i < N; i++)
		assert_in_range(n[i], 800, 1200);
}

static void a_list_replaces_the_one_before(void **state)
{
	static const char *const two[][2] = {{"h3", ""}, {"smb", ""}};
	enum qs_route_kind kind;

	(void)state;
	serves(1, 2, two);
	assert_int_equal(taker("smb", "", 1, &kind), 1);
	serves_one(1, "h3", "");
	assert_int_equal(taker("smb", "", 1, &kind), -1);
	assert_int_equal(taker("h3", "", 1, &kind), 1);
	serves(1, 0, two);
	assert_int_equal(taker("h3", "", 1, &kind), -1);
}

/* Nothing needs to be found out about a client where there is one protocol and no name. */
static void what_is_plain(void **state)
{
	struct qs_route route;

	(void)state;
	assert_true(qs_route_plain(&parties[0].endpoint, &at, 1, &route));
	assert_int_equal(route.kind, QS_ROUTE_CLOSED);
	serves_one(0, "h3", "");
	serves_one(1, "h3", "");
	assert_true(qs_route_plain(&parties[0].endpoint, &at, 1, &route));
	assert_ptr_equal(route.listener, &listener);
	serves_one(1, "smb", "");
	assert_false(qs_route_plain(&parties[0].endpoint, &at, 1, &route));
	serves_one(1, "h3", "a.test");
	assert_false(qs_route_plain(&parties[0].endpoint, &at, 1, &route));
}

int main(void)
{
#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, all_join, all_leave)
	const struct CMUnitTest tests[] = {
		WITH_ALL(why_nobody),	 WITH_ALL(the_better_name_wins_and_then_ours),
		WITH_ALL(equals_share),	 WITH_ALL(a_list_replaces_the_one_before),
		WITH_ALL(what_is_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
