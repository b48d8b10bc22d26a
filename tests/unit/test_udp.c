/* SPDX-License-Identifier: MIT */
/* UDP sockets and input: options, real addresses, ECN, coalesced trains, and what is left out. */
#include "udp_pair.h"

#include <fcntl.h>

static void open_sets_up_the_socket(void **state)
{
	struct pair *p = pair_of(state);
	socklen_t len = sizeof(int);
	int value;

	assert_int_equal(p->b.family, p->family);
	assert_int_not_equal(p->b.port, 0);
	assert_address(&p->b.bound, p->family, loopback(p->family), p->b.port);
	assert_true(fcntl(p->b.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(p->b.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(p->b.fd, SOL_SOCKET, SO_RCVBUF, &value, &len), 0);
	assert_true(value > 212992 || geteuid() != 0);
	if (p->family == AF_INET)
		assert_int_equal(getsockopt(p->b.fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, &len), 0);
	else
		assert_int_equal(getsockopt(p->b.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &value, &len),
				 0);
	assert_int_equal(value, p->family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE);
}

static void open_tells_what_is_wrong(void **state)
{
	struct pair *p = pair_of(state);
	struct sockaddr_storage unix_address = {.ss_family = AF_UNIX};
	struct sockaddr_storage elsewhere =
		address_of(p->family, p->family == AF_INET ? "192.0.2.1" : "2001:db8::1", 0);
	struct qs_udp udp;

	assert_int_equal(qs_udp_open(&udp, (struct sockaddr *)&p->b.bound, NULL), -EADDRINUSE);
	assert_int_equal(udp.fd, -1);
	assert_int_equal(qs_udp_open(&udp, (struct sockaddr *)&elsewhere, NULL), -EADDRNOTAVAIL);
	assert_int_equal(qs_udp_open(&udp, (struct sockaddr *)&unix_address, NULL), -EAFNOSUPPORT);
	assert_int_equal(qs_udp_open(&udp, (struct sockaddr *)&elsewhere,
				     &(struct qs_udp_options){.device = "no-such-dev0"}),
			 -ENODEV);
	qs_udp_close(&udp);
}

static void reuseport_shares_an_address(void **state)
{
	struct qs_udp_options options = {.reuseport = true, .device = "lo"};
	struct pair *p = pair_of(state);
	struct sockaddr_storage address = address_of(p->family, loopback(p->family), 0);
	struct qs_udp one, two;

	assert_int_equal(qs_udp_open(&one, (struct sockaddr *)&address, &options), 0);
	assert_int_equal(qs_udp_open(&two, (struct sockaddr *)&one.bound, &options), 0);
	assert_int_equal(one.port, two.port);
	qs_udp_close(&one);
	qs_udp_close(&two);
}

static void wildcards_of_both_families_share_a_port(void **state)
{
	struct sockaddr_storage address;
	struct qs_udp four, six;

	(void)state;
	if (!has_ipv6())
		skip();
	open_at(&six, AF_INET6, "::");
	address = address_of(AF_INET, "0.0.0.0", six.port);
	assert_int_equal(qs_udp_open(&four, (struct sockaddr *)&address, NULL), 0);
	qs_udp_close(&four);
	qs_udp_close(&six);
}

static void one_datagram(void **state)
{
	struct pair *p = pair_of(state);

	send_and_check(p, 1200, 1200);
	assert_int_equal(p->n_trains, 1);
	assert_int_equal(p->last.segment, 1200);
	assert_int_equal(p->last.ecn, 0);
	assert_int_not_equal(p->last.ifindex, 0);
	assert_address(&p->last.remote, p->family, loopback(p->family), p->a.port);
	assert_address(&p->last.local, p->family, loopback(p->family), p->b.port);
	assert_int_equal(p->last.remote_len, p->last.local_len);
	assert_int_equal(p->last.remote_len, p->family == AF_INET ? sizeof(struct sockaddr_in)
								  : sizeof(struct sockaddr_in6));
	assert_int_equal(p->b.received_datagrams, 1);
	assert_int_equal(p->b.received_trains, 1);
	assert_int_equal(p->a.sent_datagrams, 1);
	assert_nothing_there(p);

	send_and_check(p, 1, 1);
	send_and_check(p, 700, 0);
	send_and_check(p, 700, 9000);
	assert_int_equal(p->a.sent_datagrams, 4);
}

static void ecn_bits_arrive(void **state)
{
	struct pair *p = pair_of(state);

	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		struct qs_udp_train train = train_to_b(p, 5000, 1000);

		train.ecn = ecn;
		assert_int_equal(qs_udp_send(&p->a, &train), 5000);
		receive(p, 5000);
		assert_int_equal(p->last.ecn, ecn);
	}
}

static void wildcard_tells_real_addresses(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 3000, 1000);

	qs_udp_close(&p->b);
	open_at(&p->b, p->family, wildcard(p->family));
	train.remote = address_of(p->family, loopback(p->family), p->b.port);
	assert_int_equal(qs_udp_send(&p->a, &train), 3000);
	receive(p, 3000);
	assert_address(&p->last.local, p->family, loopback(p->family), p->b.port);

	if (p->family == AF_INET6)
		return;
	train.remote = address_of(AF_INET, "127.0.0.3", p->b.port);
	assert_int_equal(qs_udp_send(&p->a, &train), 3000);
	receive(p, 3000);
	assert_address(&p->last.local, AF_INET, "127.0.0.3", p->b.port);
}

static void an_answer_leaves_from_where_it_was_asked(void **state)
{
	struct pair *p = pair_of(state);
	const char *asked = p->family == AF_INET ? "127.0.0.2" : "::1";
	struct qs_udp_train train = train_to_b(p, 4000, 1300), answer;

	qs_udp_close(&p->b);
	open_at(&p->b, p->family, wildcard(p->family));
	train.remote = address_of(p->family, asked, p->b.port);
	assert_int_equal(qs_udp_send(&p->a, &train), 4000);
	receive(p, 4000);

	answer = p->last;
	assert_int_equal(qs_udp_send(&p->b, &answer), (ssize_t)answer.len);
	assert_int_equal(poll(&(struct pollfd){.fd = p->a.fd, .events = POLLIN}, 1, 1000), 1);
	assert_int_equal(qs_udp_receive(&p->a, &p->batch), 1);
	assert_address(&p->batch.trains[0].remote, p->family, asked, p->b.port);
	assert_memory_equal(p->batch.trains[0].data, p->sent, p->batch.trains[0].len);
}

static void empty_datagrams_are_left_out(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 100, 100);
	socklen_t len =
		p->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(sendto(p->a.fd, "", 0, 0, (struct sockaddr *)&train.remote, len),
				 0);
		train.data = p->sent + i * 100;
		assert_int_equal(qs_udp_send(&p->a, &train), 100);
	}
	receive(p, 400);
	assert_memory_equal(p->got, p->sent, 400);
	assert_int_equal(p->b.received_datagrams, 4);
	assert_address(&p->last.remote, p->family, loopback(p->family), p->a.port);

	assert_int_equal(sendto(p->a.fd, "", 0, 0, (struct sockaddr *)&train.remote, len), 0);
	assert_nothing_there(p);
	train.len = 0;
	assert_int_equal(qs_udp_send(&p->a, &train), 0);
	assert_nothing_there(p);
}

static void nobody_sends_from_port_0(void **state)
{
	struct pair *p = pair_of(state);
	struct sockaddr_storage to = address_of(AF_INET, "127.0.0.1", 0);
	struct udphdr header = {.uh_dport = htons(p->b.port), .uh_ulen = htons(12)};
	uint8_t packet[12] = "........data";
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd < 0)
		skip();
	memcpy(packet, &header, sizeof(header));
	assert_int_equal(sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to,
				sizeof(struct sockaddr_in)),
			 (ssize_t)sizeof(packet));
	close(fd);
	assert_int_equal(poll(&(struct pollfd){.fd = p->b.fd, .events = POLLIN}, 1, 1000), 1);
	assert_nothing_there(p);
	assert_int_equal(poll(&(struct pollfd){.fd = p->b.fd, .events = POLLIN}, 1, 0), 0);
}

static void a_batch_holds_many_trains(void **state)
{
	struct pair *p = pair_of(state);

	for (unsigned i = 0; i < 40; i++) {
		struct qs_udp_train train = train_to_b(p, 3000, 1400);

		train.data = p->sent + i * 3000;
		assert_int_equal(qs_udp_send(&p->a, &train), 3000);
	}
	receive(p, 40 * 3000);
	assert_memory_equal(p->got, p->sent, 40 * 3000);
	assert_int_equal(p->b.received_datagrams, 40 * 3);
}

/* What is read by one call must not wash what was read before out of the cache; short ones cost a call each else. */
static void long_trains_are_read_a_few_at_a_time(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train longer = train_to_b(p, 60000, 1200), shorter = train_to_b(p, 100, 100);

	assert_int_equal(p->batch.ask, QS_UDP_BATCH);
	assert_int_equal(qs_udp_send(&p->a, &longer), 60000);
	receive(p, 60000);
	if (p->b.received_trains == 1) /* GRO kept it whole */
		assert_in_range(p->batch.ask, 4, QS_UDP_BATCH / 2);
	assert_int_equal(qs_udp_send(&p->a, &shorter), 100);
	receive(p, 100);
	assert_int_equal(p->batch.ask, QS_UDP_BATCH);
}

static void overflow_is_counted(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 1000, 1000);
	int small = 4096, n = 200;

	assert_int_equal(setsockopt(p->b.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < n; i++)
			assert_int_equal(qs_udp_send(&p->a, &train), 1000);
		while (qs_udp_receive(&p->b, &p->batch) > 0)
			;
		/* The kernel tells with the next datagram that it has room for. */
		assert_int_equal(qs_udp_send(&p->a, &train), 1000);
		receive(p, 1000);
		assert_true(p->batch.last_overflow > 0);
		assert_int_equal(p->b.dropped_datagrams + p->b.received_datagrams,
				 (uint64_t)round * (uint64_t)(n + 1));
	}
}

static void a_batch_can_be_made_again(void **state)
{
	struct qs_udp_batch batch;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(qs_udp_batch_init(&batch), 0);
		memset(batch.memory, 0xff, (size_t)QS_UDP_BATCH * QS_UDP_TRAIN_MAX);
		qs_udp_batch_fini(&batch);
		qs_udp_batch_fini(&batch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TESTS(open_sets_up_the_socket),
		PAIR_TESTS(open_tells_what_is_wrong),
		PAIR_TESTS(reuseport_shares_an_address),
		cmocka_unit_test(wildcards_of_both_families_share_a_port),
		PAIR_TESTS(one_datagram),
		PAIR_TESTS(ecn_bits_arrive),
		PAIR_TESTS(wildcard_tells_real_addresses),
		PAIR_TESTS(an_answer_leaves_from_where_it_was_asked),
		PAIR_TESTS(empty_datagrams_are_left_out),
		PAIR_TEST(nobody_sends_from_port_0, V4),
		PAIR_TESTS(a_batch_holds_many_trains),
		PAIR_TESTS(long_trains_are_read_a_few_at_a_time),
		PAIR_TESTS(overflow_is_counted),
		cmocka_unit_test(a_batch_can_be_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
