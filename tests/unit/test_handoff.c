// SPDX-License-Identifier: MIT
// What one engine hands to another arrives as it came from the network.
#include "handoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LEN 3000u

static _Alignas(8) uint8_t message[QS_HANDOFF_MAX];

static struct qs_udp_train train_of(const struct qs_addr *local, const struct qs_addr *remote)
{
	static uint8_t data[LEN];
	struct qs_udp_train train = {
		.data = data, .len = LEN, .segment = 1200, .ecn = 3, .ifindex = 7};

	for (unsigned i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * 31);
	train.local_len = qs_addr_to_sockaddr(local, local->family, &train.local);
	train.remote_len = qs_addr_to_sockaddr(remote, remote->family, &train.remote);
	return train;
}

/* As qs_link_send() puts it together. */
static size_t write_message(const struct qs_udp_train *train)
{
	struct qs_handoff_head head;

	assert_int_equal(qs_handoff_train(&head, QS_HANDOFF_FLIGHT, 5, train), 0);
	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), train->data, train->len);
	return sizeof(head) + train->len;
}

static void check(const struct qs_addr *local, const struct qs_addr *remote)
{
	struct qs_udp_train train = train_of(local, remote);
	size_t len = write_message(&train);
	struct qs_handoff got;
	struct qs_addr address;

	assert_int_equal(qs_handoff_parse(message, len, &got), 0);
	assert_int_equal(got.type, QS_HANDOFF_FLIGHT);
	assert_int_equal(got.number, 5);
	assert_int_equal(got.train.len, LEN);
	assert_int_equal(got.train.segment, 1200);
	assert_int_equal(got.train.ecn, 3);
	assert_int_equal(got.train.ifindex, 7);
	assert_memory_equal(got.train.data, train.data, LEN);
	assert_int_equal(qs_addr_from_sockaddr(&address, (struct sockaddr *)&got.train.local,
					       got.train.local_len),
			 0);
	assert_memory_equal(&address, local, sizeof(address));
	assert_int_equal(qs_addr_from_sockaddr(&address, (struct sockaddr *)&got.train.remote,
					       got.train.remote_len),
			 0);
	assert_memory_equal(&address, remote, sizeof(address));
}

static void a_train_arrives_whole(void **state)
{
	struct qs_addr local4 = {.family = AF_INET, .port = 443, .ip = {192, 0, 2, 1}},
		       remote4 = {.family = AF_INET, .port = 1024, .ip = {192, 0, 2, 9}},
		       local6 = {.family = AF_INET6, .port = 443, .ip = {0x20, 1, [15] = 1}},
		       remote6 = {.family = AF_INET6,
				  .port = 1024,
				  .scope_id = 3,
				  .ip = {0xfe, 0x80, [15] = 2}};

	(void)state;
	check(&local4, &remote4);
	check(&local6, &remote6);
}

/* A sibling that is not to be trusted. */
static void bad_trains(void **state)
{
	struct qs_addr local = {.family = AF_INET, .port = 443, .ip = {192, 0, 2, 1}},
		       remote = {.family = AF_INET, .port = 1024, .ip = {192, 0, 2, 9}};
	struct qs_udp_train train = train_of(&local, &remote);
	struct qs_handoff_head *head = (void *)message, good;
	size_t len = write_message(&train);
	struct qs_handoff got;

	(void)state;
	good = *head;
#define BAD(change)                                                                                \
	do {                                                                                       \
		*head = good;                                                                      \
		change;                                                                            \
		assert_true(qs_handoff_parse(message, len, &got) < 0);                             \
	} while (0)
	BAD(head->segment = 0);
	BAD(head->segment = LEN + 1);
	BAD(head->magic++);
	BAD(head->type = QS_HANDOFF_N_TYPES);
	BAD(head->remote.family = AF_INET6);
	BAD(head->local.family = AF_UNIX);
	BAD(head->remote.port = 0);
	BAD(head->local.port = 0);
	*head = good;
	assert_true(qs_handoff_parse(message, sizeof(*head), &got) < 0);
	assert_true(qs_handoff_parse(message, sizeof(*head) - 1, &got) < 0);
	/* Bits that are not ECN's are not passed on. */
	head->ecn = 0xfe;
	assert_int_equal(qs_handoff_parse(message, len, &got), 0);
	assert_int_equal(got.train.ecn, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_train_arrives_whole),
		cmocka_unit_test(bad_trains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
