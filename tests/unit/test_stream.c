/* SPDX-License-Identifier: MIT */
/* When a stream asks for a turn at writing, and what its end tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "engine/conn.h"
#include "engine/stream_parts.h"

#include <stdlib.h>

#define PAYLOAD 1452

static struct qs_conn conn = {.payload = PAYLOAD};

static struct qs_stream holding(uint64_t octets)
{
	return (struct qs_stream){.conn = &conn, .tx_taken = octets};
}

static void any_octet_asks(void **state)
{
	struct qs_stream stream = holding(0);

	(void)state;
	assert_false(qs_stream_wants_write(&stream));
	stream.tx_taken = 1;
	assert_true(qs_stream_wants_write(&stream));
	stream.tx_written = 1;
	assert_false(qs_stream_wants_write(&stream));
}

/* The end of what was read ahead is no packet of its own while the app's socket has more. */
static void less_than_a_packet_waits_for_more(void **state)
{
	struct qs_stream stream = holding(PAYLOAD - 1);

	(void)state;
	stream.in_readable = true;
	assert_false(qs_stream_wants_write(&stream));
	stream.tx_taken++;
	assert_true(qs_stream_wants_write(&stream));
	stream.tx_taken--;
	stream.in_readable = false;
	assert_true(qs_stream_wants_write(&stream));
}

static void an_end_or_an_announcement_does_not_wait(void **state)
{
	struct qs_stream stream = holding(1);

	(void)state;
	stream.in_readable = true;
	stream.app_eof = true;
	assert_true(qs_stream_wants_write(&stream));
	stream.app_eof = false;
	stream.announce = true;
	assert_true(qs_stream_wants_write(&stream));
}

static void a_blocked_stream_asks_to_be_announced_only(void **state)
{
	struct qs_stream stream = holding(PAYLOAD);

	(void)state;
	stream.tx_blocked = true;
	assert_false(qs_stream_wants_write(&stream));
	stream.announce = true;
	assert_true(qs_stream_wants_write(&stream));
	stream.moving = true;
	assert_false(qs_stream_wants_write(&stream));
}

/* accept() told of itself in the option page: the engine learns of it also from one that ends in a reset. */
static void a_reset_tells_that_accept_speaks(void **state)
{
	struct qs_page *page = calloc(1, sizeof(*page) + sizeof(page->slots[0]));
	struct qs_options options = {.accepted = 1};
	struct qs_engine engine = {.pages = {.page = page, .options = &options}};
	struct qs_stream stream = {.engine = &engine, .server = true, .source.fd = -1};

	(void)state;
	TAILQ_INIT(&engine.flush);
	qs_stream_app_reset(&stream, true);
	assert_true(engine.accepts_said);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_octet_asks),
		cmocka_unit_test(less_than_a_packet_waits_for_more),
		cmocka_unit_test(an_end_or_an_announcement_does_not_wait),
		cmocka_unit_test(a_blocked_stream_asks_to_be_announced_only),
		cmocka_unit_test(a_reset_tells_that_accept_speaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
