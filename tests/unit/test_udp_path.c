/* SPDX-License-Identifier: MIT */
/* ICMP errors: told with their quote, and never mistaken for an error of the call. Routes. */
#include "udp_pair.h"

/* A port of loopback that nobody listens at. */
static struct sockaddr_storage closed_port(int family)
{
	struct qs_udp udp;
	struct sockaddr_storage address;

	open_at(&udp, family, loopback(family));
	address = udp.bound;
	qs_udp_close(&udp);
	return address;
}

static void icmp_is_told_with_its_quote(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 300, 300);
	struct sockaddr_storage closed = closed_port(p->family), remote;
	socklen_t len =
		p->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	uint8_t quoted[128] = {0};
	size_t quoted_len = 0;
	int error = 0;

	assert_int_equal(qs_udp_error(&p->a, &remote, &error, quoted, sizeof(quoted), &quoted_len),
			 0);
	train.remote = closed;
	assert_int_equal(qs_udp_send(&p->a, &train), 300);
	assert_int_equal(poll(&(struct pollfd){.fd = p->a.fd}, 1, 1000), 1);
	assert_int_equal(qs_udp_error(&p->a, &remote, &error, quoted, sizeof(quoted), &quoted_len),
			 1);
	assert_int_equal(error, ECONNREFUSED);
	assert_int_equal(quoted_len, sizeof(quoted));
	assert_memory_equal(quoted, p->sent, sizeof(quoted));
	assert_memory_equal(&remote, &closed, len);
	assert_int_equal(qs_udp_error(&p->a, &remote, &error, quoted, sizeof(quoted), &quoted_len),
			 0);
	assert_int_equal(poll(&(struct pollfd){.fd = p->a.fd}, 1, 0), 0);
}

static void icmp_disturbs_nobody_else(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train dead = train_to_b(p, 3000, 1000), live = train_to_b(p, 3000, 1000);

	dead.remote = closed_port(p->family);
	for (int gso = 1; gso >= 0; gso--) {
		p->a.gso = p->a.gso && gso;
		assert_int_equal(qs_udp_send(&p->a, &dead), 3000);
		assert_int_equal(qs_udp_send(&p->a, &live), 3000);
		receive(p, 3000);
		assert_int_equal(qs_udp_send(&p->a, &dead), 3000);
		assert_int_equal(qs_udp_receive(&p->a, &p->batch), 0);
		/* Whoever sends to the dead only is not told either. */
		for (int i = 0; i < 10; i++)
			assert_int_equal(qs_udp_send(&p->a, &dead), 3000);
	}
}

static void a_quote_may_be_cut(void **state)
{
	struct pair *p = pair_of(state);
	struct qs_udp_train train = train_to_b(p, 50, 50);
	struct sockaddr_storage remote;
	uint8_t quoted[64];
	size_t quoted_len;
	int error;

	train.remote = closed_port(p->family);
	for (int i = 0; i < 2; i++)
		assert_int_equal(qs_udp_send(&p->a, &train), 50);
	assert_int_equal(qs_udp_error(&p->a, &remote, &error, quoted, sizeof(quoted), &quoted_len),
			 1);
	assert_int_equal(quoted_len, 50);
	assert_int_equal(qs_udp_error(&p->a, &remote, &error, NULL, 0, &quoted_len), 1);
	assert_int_equal(quoted_len, 0);
}

static void route_to_loopback(void **state)
{
	struct pair *p = pair_of(state);
	struct sockaddr_storage remote = address_of(p->family, loopback(p->family), 443), local;
	struct sockaddr_storage elsewhere =
		address_of(p->family, p->family == AF_INET ? "192.0.2.1" : "2001:db8::1", 0);
	struct sockaddr_storage unspec = {.ss_family = AF_UNSPEC};
	size_t mtu = 0;

	assert_int_equal(qs_udp_route((struct sockaddr *)&remote, NULL, NULL, &local, &mtu), 0);
	assert_address(&local, p->family, loopback(p->family), 0);
	assert_in_range(mtu, 65535, 65575);
	assert_int_equal(qs_udp_route((struct sockaddr *)&remote, (struct sockaddr *)&unspec,
				      &(struct qs_udp_options){.device = "lo"}, &local, NULL),
			 0);
	/* The source's port is taken by b, which does not matter. */
	assert_int_equal(qs_udp_route((struct sockaddr *)&remote, (struct sockaddr *)&p->b.bound,
				      NULL, &local, NULL),
			 0);
	assert_address(&local, p->family, loopback(p->family), 0);
	assert_int_equal(qs_udp_route((struct sockaddr *)&remote, (struct sockaddr *)&elsewhere,
				      NULL, &local, NULL),
			 -EADDRNOTAVAIL);
	if (p->family == AF_INET) {
		struct sockaddr_storage source = address_of(AF_INET, "127.0.0.2", 0);

		assert_int_equal(qs_udp_route((struct sockaddr *)&remote,
					      (struct sockaddr *)&source, NULL, &local, NULL),
				 0);
		assert_address(&local, AF_INET, "127.0.0.2", 0);
	}
}

static void routes_of_a_small_world(void)
{
	struct sockaddr_storage near = address_of(AF_INET, "127.0.0.9", 443);
	struct sockaddr_storage far = address_of(AF_INET, "192.0.2.1", 443), local;
	size_t mtu = 0;

	child_check(qs_udp_route((struct sockaddr *)&near, NULL, NULL, &local, &mtu) == 0);
	child_check(mtu == 1400);
	child_check(qs_udp_route((struct sockaddr *)&far, NULL, NULL, &local, &mtu) ==
		    -ENETUNREACH);
}

static void route_tells_mtu_and_absence(void **state)
{
	(void)state;
	in_netns(1400, routes_of_a_small_world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TESTS(icmp_is_told_with_its_quote),
		PAIR_TESTS(icmp_disturbs_nobody_else),
		PAIR_TESTS(a_quote_may_be_cut),
		PAIR_TESTS(route_to_loopback),
		cmocka_unit_test(route_tells_mtu_and_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
