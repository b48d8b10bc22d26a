// SPDX-License-Identifier: MIT
// Workers: streams of one listener on several threads of the engine, beginning and ending all the time.
#include "engine/worker.h"
#include "engine_kit_stream.h"

#define PAIRS 24
#define ROUNDS 3

static int listener;
static uint16_t port;

static int start(void **state)
{
	(void)state;
	kit_start(kit_policy("workers = 3\nconnections = 8\n"));
	port = 0;
	listener = kit_listen(KIT_ONE, &port);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (listener >= 0)
		close(listener);
	kit_stop();
	return 0;
}

static unsigned started(void)
{
	unsigned n = 1;

	for (unsigned i = 0; i < QS_WORKERS_MAX - 1; i++)
		n += kit_engine.workers[i] != NULL;
	return n;
}

static void streams_on_all(void **state)
{
	int client[PAIRS], server[PAIRS];

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < PAIRS; i++)
			kit_pair(KIT_ONE, port, listener, &client[i], &server[i]);
		for (unsigned i = 0; i < PAIRS; i++)
			kit_ping(client[i], server[i], (char)('a' + i));
		for (unsigned i = 0; i < PAIRS; i++) {
			close(round & 1 ? client[i] : server[i]);
			assert_int_equal(kit_end_errno(round & 1 ? server[i] : client[i]), 0);
			close(round & 1 ? server[i] : client[i]);
		}
	}
	assert_int_equal(started(), 3);
}

/* What comes after a listener that is gone finds all workers ready again. */
static void a_listener_after_another(void **state)
{
	int client, server;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		close(listener);
		port = 0;
		listener = kit_listen(KIT_ONE, &port);
		kit_pair(KIT_ONE, port, listener, &client, &server);
		kit_ping(client, server, 'x');
		close(client);
		close(server);
	}
	assert_int_equal(started(), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(streams_on_all, start, stop),
		cmocka_unit_test_setup_teardown(a_listener_after_another, start, stop),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
