/* SPDX-License-Identifier: MIT */
/* UDP output: trains with and without GSO, splitting, latching GSO off, full buffers, sizes. */
#include "udp_pair.h"

static void a_train_arrives_as_one(void **state)
{
	struct pair *p = pair_of(state);
	static const struct {
		size_t len, segment;
	} shapes[] = {
		{45 * 1452, 1452}, {44 * 1452 + 700, 1452}, {1453, 1452}, {2 * 1200, 1200},
		{64 * 1000, 1000}, {7 * 9000 + 1, 9000},    {64, 1},	  {2 * 32000, 32000},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint64_t datagrams = p->a.sent_datagrams, trains = p->a.sent_trains;
		size_t n = (shapes[i].len + shapes[i].segment - 1) / shapes[i].segment;

		send_and_check(p, shapes[i].len, shapes[i].segment);
		assert_int_equal(p->a.sent_datagrams - datagrams, n);
		assert_int_equal(p->a.sent_trains - trains, 1);
		assert_int_equal(p->b.received_datagrams, p->a.sent_datagrams);
		if (p->a.gso && p->b.gro) {
			assert_int_equal(p->n_trains, 1);
			assert_int_equal(p->last.segment, shapes[i].segment);
		}
	}
}

static void long_trains_are_split(void **state)
{
	struct pair *p = pair_of(state);

	/* More than 64 segments; more than 64 KiB; segments of which no two fit a message. */
	send_and_check(p, 100 * 600 + 17, 600);
	assert_int_equal(p->a.sent_trains, 2);
	send_and_check(p, 100 * 1452 + 17, 1452);
	assert_int_equal(p->a.sent_trains, 2 + 3);
	send_and_check(p, 2 * 40000 + 5, 40000);
	assert_int_equal(p->a.sent_trains, 2 + 3 + 2);
	assert_int_equal(p->a.sent_datagrams, 101 + 101 + 3);
	assert_int_equal(p->b.received_datagrams, p->a.sent_datagrams);
}

static void trains_travel_without_gso(void **state)
{
	struct pair *p = pair_of(state);

	p->a.gso = false;
	send_and_check(p, 30 * 1452 + 3, 1452);
	assert_int_equal(p->a.sent_datagrams, 31);
	send_and_check(p, 150 * 100, 100);
	assert_int_equal(p->a.sent_datagrams, 31 + 150);
	assert_false(p->a.gso);
}

/* A socket that sends no checksums is refused GSO with EINVAL. */
static void refuse_gso(struct pair *p)
{
	int on = 1;

	if (p->family == AF_INET) {
		assert_int_equal(setsockopt(p->a.fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
		return;
	}
	assert_int_equal(setsockopt(p->a.fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(p->b.fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, &on, sizeof(on)), 0);
}

static void a_refusal_latches_gso_off(void **state)
{
	struct pair *p = pair_of(state);

	if (!p->a.gso)
		skip();
	refuse_gso(p);
	send_and_check(p, 1000, 1000);
	assert_true(p->a.gso);
	send_and_check(p, 20 * 1200 + 9, 1200);
	assert_false(p->a.gso);
	assert_int_equal(p->a.sent_datagrams, 1 + 21);
	send_and_check(p, 80 * 1200, 1200);
	assert_int_equal(p->b.received_datagrams, p->a.sent_datagrams);
}

static void a_lost_source_address_is_no_refusal(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 5000, 1000);
	bool gso = p->a.gso;

	qs_udp_close(&p->a);
	open_at(&p->a, p->family, wildcard(p->family));
	train.local = address_of(p->family, p->family == AF_INET ? "192.0.2.1" : "2001:db8::1", 0);
	assert_int_equal(qs_udp_send(&p->a, &train), p->family == AF_INET ? -ENETUNREACH : -EINVAL);
	assert_int_equal(p->a.gso, gso);
	assert_int_equal(p->a.sent_datagrams, 0);
	train.local = address_of(p->family, loopback(p->family), 0);
	assert_int_equal(qs_udp_send(&p->a, &train), 5000);
	receive(p, 5000);
}

static void the_source_address_can_be_chosen(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 5000, 1000);

	qs_udp_close(&p->a);
	open_at(&p->a, AF_INET, "0.0.0.0");
	train.local = address_of(AF_INET, "127.0.0.2", 9);
	train.ecn = 1;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(qs_udp_send(&p->a, &train), 5000);
		receive(p, 5000);
		assert_address(&p->last.remote, AF_INET, "127.0.0.2", p->a.port);
		assert_int_equal(p->last.ecn, 1);
		p->a.gso = false;
	}
}

static void what_no_packet_can_hold_is_dropped(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 65530, 65530);
	struct sockaddr_storage remote;
	uint8_t quoted[64];
	size_t quoted_len;
	int error;

	assert_int_equal(qs_udp_send(&p->a, &train), 65530);
	assert_int_equal(p->a.sent_datagrams, 0);
	assert_nothing_there(p);
	/* The kernel queues an error of its own, which is no ICMP error. */
	assert_int_equal(qs_udp_error(&p->a, &remote, &error, quoted, sizeof(quoted), &quoted_len),
			 0);
	assert_int_equal(poll(&(struct pollfd){.fd = p->a.fd}, 1, 0), 0);
	send_and_check(p, 100, 100);
}

static void too_large_for_the_route(void)
{
	struct pair *p = pair_new(AF_INET, "127.0.0.1", "127.0.0.1");
	struct qs_udp_train train = train_to_b(p, 10 * 2000 + 100, 2000);
	bool gso = p->a.gso;
	int n;

	/* Only the short last segment fits. */
	child_check(qs_udp_send(&p->a, &train) == 10 * 2000 + 100);
	child_check(poll(&(struct pollfd){.fd = p->b.fd, .events = POLLIN}, 1, 1000) == 1);
	n = qs_udp_receive(&p->b, &p->batch);
	child_check(n == 1 && p->batch.trains[0].len == 100);
	child_check(memcmp(p->batch.trains[0].data, p->sent + 10 * 2000, 100) == 0);
	child_check(p->a.gso == gso && p->a.sent_datagrams == 1);

	train.len = 10 * 1472;
	train.segment = 1472;
	child_check(qs_udp_send(&p->a, &train) == 10 * 1472);
	child_check(p->a.sent_datagrams == 11);
	pair_free(p);
}

static void a_failed_probe_latches_nothing(void **state)
{
	(void)state;
	in_netns(1500, too_large_for_the_route);
}

static void no_route(void)
{
	struct pair *p = pair_new(AF_INET, "0.0.0.0", "127.0.0.1");
	struct qs_udp_train train = train_to_b(p, 3000, 1000);

	train.remote = address_of(AF_INET, "192.0.2.1", 9);
	child_check(qs_udp_send(&p->a, &train) == -ENETUNREACH);
	train.len = 1000;
	child_check(qs_udp_send(&p->a, &train) == -ENETUNREACH);
	child_check(p->a.sent_datagrams == 0 && p->a.sent_trains == 0);
	pair_free(p);
}

static void a_missing_route_is_told(void **state)
{
	(void)state;
	in_netns(65536, no_route);
}

/* Whoever waits for a neighbour that never answers is waited for in the sender's buffer. */
static void full(void)
{
	struct pair *p;
	struct qs_udp_train train;
	int small = 32768;
	ssize_t r = -1;

	if (system("exec 2>/dev/null; ip link add qs0 type veth peer name qs1 && ip link set qs1 up"
		   " && ip addr add 198.51.100.1/24 dev qs0 && ip link set qs0 up") != 0)
		_exit(SKIPPED);
	for (int gso = 1; gso >= 0; gso--) {
		uint64_t taken = 0;

		p = pair_new(AF_INET, "0.0.0.0", "127.0.0.1");
		p->a.gso = p->a.gso && gso;
		train = train_to_b(p, 40 * 1000 + 1, 1000);
		train.remote = address_of(AF_INET, "198.51.100.9", 9);
		child_check(setsockopt(p->a.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
		for (int i = 0; i < 20; i++) {
			r = qs_udp_send(&p->a, &train);
			child_check(r >= 0 && (r == 40 * 1000 + 1 || r % 1000 == 0));
			taken += (uint64_t)(r + 999) / 1000;
		}
		child_check(r == 0);
		child_check(taken == p->a.sent_datagrams && taken > 0);
		pair_free(p);
	}
}

static void a_full_buffer_takes_less(void **state)
{
	(void)state;
	in_netns(65536, full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TESTS(a_train_arrives_as_one),
		PAIR_TESTS(long_trains_are_split),
		PAIR_TESTS(trains_travel_without_gso),
		PAIR_TESTS(a_refusal_latches_gso_off),
		PAIR_TESTS(a_lost_source_address_is_no_refusal),
		PAIR_TEST(the_source_address_can_be_chosen, V4),
		PAIR_TESTS(what_no_packet_can_hold_is_dropped),
		cmocka_unit_test(a_failed_probe_latches_nothing),
		cmocka_unit_test(a_missing_route_is_told),
		cmocka_unit_test(a_full_buffer_takes_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
