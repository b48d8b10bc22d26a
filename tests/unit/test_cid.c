/* SPDX-License-Identifier: MIT */
/* Connection IDs: the layout octet by octet, every field's range, and what is refused. */
#include "cid.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct qs_cid_fields example = {
	.config = 2,
	.host = 0x0102,
	.slot = 0xfffe,
	.generation = 0x8001,
	.nonce = {9, 8, 7, 6, 5, 4, 3, 2, 1},
};
static const uint8_t example_octets[QS_CID_LEN] = {0x4f, 0x01, 0x02, 0xff, 0xfe, 0x80, 0x01, 9,
						   8,	 7,    6,    5,	   4,	 3,    2,    1};

static void layout(void **state)
{
	struct qs_cid_fields fields;
	uint8_t octets[QS_CID_LEN];

	(void)state;
	qs_cid_encode(octets, &example);
	assert_memory_equal(octets, example_octets, sizeof(octets));
	assert_int_equal(qs_cid_decode(octets, sizeof(octets), &fields), 0);
	assert_int_equal(fields.config, example.config);
	assert_int_equal(fields.host, example.host);
	assert_int_equal(fields.slot, example.slot);
	assert_int_equal(fields.generation, example.generation);
	assert_memory_equal(fields.nonce, example.nonce, sizeof(fields.nonce));
}

static void first_octet(void **state)
{
	struct qs_cid_fields fields;
	uint8_t octets[QS_CID_LEN];

	(void)state;
	memcpy(octets, example_octets, sizeof(octets));
	for (unsigned first = 0; first < 256; first++) {
		int want = (first & 0x1f) == 15 && first >> 5 != 7 ? 0 : -EINVAL;

		octets[0] = (uint8_t)first;
		assert_int_equal(qs_cid_decode(octets, sizeof(octets), &fields), want);
		if (want == 0)
			assert_int_equal(fields.config, first >> 5);
	}
}

static void length(void **state)
{
	struct qs_cid_fields fields;
	uint8_t octets[QS_CID_LEN + 4] = {0};

	(void)state;
	memcpy(octets, example_octets, sizeof(example_octets));
	for (size_t len = 0; len <= sizeof(octets); len++)
		assert_int_equal(qs_cid_decode(octets, len, &fields),
				 len == QS_CID_LEN ? 0 : -EINVAL);
	assert_int_equal(qs_cid_decode(NULL, 0, &fields), -EINVAL);
}

static void a_wrong_config_makes_no_id_of_ours(void **state)
{
	struct qs_cid_fields fields = example, out;
	uint8_t octets[QS_CID_LEN];

	(void)state;
	fields.config = 7;
	qs_cid_encode(octets, &fields);
	assert_int_equal(qs_cid_decode(octets, sizeof(octets), &out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(first_octet),
		cmocka_unit_test(length),
		cmocka_unit_test(a_wrong_config_makes_no_id_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
