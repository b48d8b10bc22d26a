// SPDX-License-Identifier: MIT
// A packet for a connection that nobody has: all whose secret it may be are asked for the reset, once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "cid.h"
#include "group_kit.h"

#include <unistd.h>

#define N 3

static struct party parties[N];
static uint16_t port;

static struct qs_addr address(uint8_t last)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {127, 0, 0, last}};
}

static void settle(void)
{
	for (int i = 0; i < 64; i++)
		party_turn(&parties[i % N]);
}

/* Slot 1 has a successor with another key than the one that died there; the others have the old key still. */
static int all_join(void **state)
{
	(void)state;
	port = (uint16_t)(20000 + getpid() % 20000);
	for (unsigned i = 0; i < N; i++)
		party_join(&parties[i], address(1));
	parties[1].member->secret = 2;
	settle();
	return 0;
}

static int all_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		party_leave(&parties[i]);
	return 0;
}

static uint64_t resets(unsigned i)
{
	return parties[i].endpoint.n_resets;
}

/* From the member in slot 0 to that in slot 1, for the latter's predecessor. */
static void hand_over(enum qs_handoff_type type)
{
	uint8_t packet[400] = {0x40};
	struct qs_cid_fields fields = {.slot = 1, .generation = 7};
	struct qs_udp_train train = {
		.data = packet, .len = sizeof(packet), .segment = sizeof(packet)};
	struct qs_addr local = address(1), remote = address(9);

	qs_cid_encode(packet + 1, &fields);
	train.local_len = qs_addr_to_sockaddr(&local, AF_INET, &train.local);
	train.remote_len = qs_addr_to_sockaddr(&remote, AF_INET, &train.remote);
	assert_true(qs_link_send(qs_member_link(parties[0].member, 1), type, 0, &train));
	settle();
}

static void who_is_handed_one_asks_the_others(void **state)
{
	(void)state;
	hand_over(QS_HANDOFF_PACKETS);
	assert_int_equal(resets(1), 1);
	assert_int_equal(resets(0), 1);
	assert_int_equal(resets(2), 1);
}

static void who_is_asked_asks_nobody(void **state)
{
	(void)state;
	hand_over(QS_HANDOFF_ORPHAN);
	assert_int_equal(resets(1), 1);
	assert_int_equal(resets(0) + resets(2), 0);
}

int main(void)
{
#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, all_join, all_leave)
	const struct CMUnitTest tests[] = {
		WITH_ALL(who_is_handed_one_asks_the_others),
		WITH_ALL(who_is_asked_asks_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
