/* SPDX-License-Identifier: MIT */
/* The hash of our tables: SipHash's own examples; and the index of reset tokens that uses it. */
#include "reset_token.h"

#include "conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CONNS 64

/* From the paper and its reference code: the key and the data are 00 01 02 ... */
static void as_published(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} known[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)},
		{1, UINT64_C(0x74f839c593dc67fd)},
		{8, UINT64_C(0x93f5f5799a932462)},
		{15, UINT64_C(0xa129ca6149be45e5)},
	};
	static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t data[15];

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_int_equal(qs_hash_keyed(key, data, known[i].len), known[i].hash);
}

/* The key is drawn once, and is not the one that a peer would guess. */
static void keyed(void **state)
{
	uint64_t before = qs_hash("x", 1), first;

	(void)state;
	assert_int_equal(qs_hash_init(), 0);
	first = qs_hash("x", 1);
	assert_int_not_equal(first, before);
	assert_int_equal(qs_hash_init(), 0);
	assert_int_equal(qs_hash("x", 1), first);
}

static struct qs_engine engine;
static struct qs_conn conns[CONNS];

static const uint8_t *token(unsigned of, unsigned n)
{
	static uint8_t text[NGTCP2_STATELESS_RESET_TOKENLEN];

	memset(text, 0, sizeof(text));
	text[0] = (uint8_t)of;
	text[15] = (uint8_t)n;
	return text;
}

static void tokens(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONNS; i++) {
		conns[i].engine = &engine;
		for (unsigned n = 0; n < 4; n++)
			qs_reset_token_add(&conns[i], token(i, n));
	}
	assert_ptr_equal(qs_reset_token_find(&engine, token(7, 3)), &conns[7]);
	assert_null(qs_reset_token_find(&engine, token(7, 4)));
	/* Another's is not taken, nor given back. */
	qs_reset_token_add(&conns[8], token(7, 3));
	qs_reset_token_remove(&conns[8], token(7, 3));
	assert_ptr_equal(qs_reset_token_find(&engine, token(7, 3)), &conns[7]);
	qs_reset_token_remove(&conns[7], token(7, 3));
	assert_null(qs_reset_token_find(&engine, token(7, 3)));
	assert_ptr_equal(qs_reset_token_find(&engine, token(7, 2)), &conns[7]);
	for (unsigned i = 0; i < CONNS; i++)
		qs_reset_token_remove_all(&conns[i]);
	assert_null(engine.reset_tokens);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_published),
		cmocka_unit_test(keyed),
		cmocka_unit_test(tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
