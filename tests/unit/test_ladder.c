/* SPDX-License-Identifier: MIT */
/* The rung of classic BPF: members find out where in the kernel's group they are, whatever happens to it. */
#include "ladder_kit.h"

static int all_join(void **state)
{
	struct qs_udp first;

	(void)state;
	port = 0;
	udp_open(&first); /* chooses the port, and is in the group before all */
	for (unsigned i = 0; i < N; i++)
		join(&parties[i], QS_STEERING_CLASSIC);
	qs_udp_close(&first);
	later(8 * QS_NSEC);
	return 0;
}

static int all_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		if (parties[i].member != NULL)
			leave(&parties[i]);
		qs_udp_close(&parties[i].endpoint.udp);
	}
	return 0;
}

/* Rounds go on until all is right. */
static void must_find(void)
{
	bool good = false;

	for (int i = 0; i < 600 && !good; i++) {
		good = true;
		for (unsigned k = 0; k < N; k++)
			good &= parties[k].member == NULL ||
				qs_ladder_rung(&parties[k].endpoint) == QS_RUNG_CLASSIC;
		good = good && misled() == 0;
		if (!good)
			later(100 * QS_MSEC);
	}
	assert_true(good);
}

static void all_are_found(void **state)
{
	(void)state;
	must_find();
	assert_true(parties[0].endpoint.ladder.attached);
	for (unsigned i = 1; i < N; i++)
		assert_false(parties[i].endpoint.ladder.attached);
	/* Nothing goes on for ever. */
	for (int i = 0; i < 600 && parties[0].endpoint.ladder.round_ns != 0; i++)
		later(QS_NSEC);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(parties[i].endpoint.ladder.round_ns, 0);
}

static void one_leaves(void **state)
{
	(void)state;
	qs_udp_close(&parties[1].endpoint.udp);
	leave(&parties[1]);
	settle();
	later(100 * QS_MSEC);
	must_find();
	join(&parties[1], QS_STEERING_CLASSIC);
	must_find();
}

static void a_dead_ones_socket_stays(void **state)
{
	(void)state;
	leave(&parties[1]);
	settle();
	later(QS_NSEC);
	must_find();
	qs_udp_close(&parties[1].endpoint.udp);
	later(3 * QS_NSEC);
	must_find();
}

static void the_eldest_leaves(void **state)
{
	(void)state;
	qs_udp_close(&parties[0].endpoint.udp);
	leave(&parties[0]);
	settle();
	later(100 * QS_MSEC);
	assert_true(parties[1].endpoint.ladder.attached);
	must_find();
}

/* A socket of a program that we don't know leaves the group: whoever sees a sibling's packets doubts. */
static void a_strangers_socket_leaves(void **state)
{
	struct qs_udp stranger;

	(void)state;
	qs_udp_close(&parties[1].endpoint.udp);
	leave(&parties[1]);
	settle();
	udp_open(&stranger);
	join(&parties[1], QS_STEERING_CLASSIC);
	later(8 * QS_NSEC);
	must_find();
	qs_udp_close(&stranger);
	later(8 * QS_NSEC);
	/* The youngest was behind it; its packets go by the hash now, which may be right by chance. */
	qs_ladder_doubt(&parties[2].endpoint, qs_member_link(parties[2].member, 1));
	later(200 * QS_MSEC);
	must_find();
}

static void forged_answers_are_nothing(void **state)
{
	struct qs_ladder *ladder = &parties[0].endpoint.ladder;

	(void)state;
	qs_ladder_found(&parties[0].endpoint, 2, 0, 0); /* no round goes on */
	must_find();
	qs_ladder_search(&parties[0].endpoint);
	qs_ladder_found(&parties[0].endpoint, 2, 0, ladder->nonce ^ 1);
	assert_int_equal(ladder->found[2], QS_CLASSIC_NOWHERE);
	settle();
	must_find();
	/* A wrong answer of a believed one: a wrong map, until the next round. */
	qs_ladder_search(&parties[0].endpoint);
	qs_ladder_found(&parties[0].endpoint, 2, 0, ladder->nonce);
	settle();
	later(8 * QS_NSEC);
	must_find();
}

/* Somebody sends probes for us to a sibling, which answers: that must not fill the link. */
static void a_flood_of_probes_ends_no_link(void **state)
{
	struct qs_classic_probe probe = {.slot = parties[0].member->slot, .nonce = 1};
	struct qs_link *link = qs_member_link(parties[1].member, probe.slot);
	uint8_t data[QS_CLASSIC_PROBE_LEN];

	(void)state;
	qs_classic_probe_write(data, &probe);
	for (unsigned i = 0; i < 400000; i++) {
		parties[1].engine.now_ns += QS_NSEC / QS_FLOOD_RATE;
		assert_true(qs_ladder_probed(&parties[1].endpoint, data + 1, QS_CID_LEN));
	}
	assert_in_range(link->queued, 1, 1u << 20);
	settle();
	assert_ptr_equal(link, qs_member_link(parties[1].member, probe.slot));
	must_find();
}

/* Who may not, or shall not, leaves it to the hash; a group that has a better program as well. */
static void it_gives_way(void **state)
{
	struct qs_link *link = qs_member_link(parties[0].member, 1);

	(void)state;
	link->has_ebpf = true;
	qs_ladder_sweep(&parties[0].endpoint);
	settle();
	all_are(QS_RUNG_HASH);
	qs_ladder_search(&parties[0].endpoint);
	settle();
	all_are(QS_RUNG_HASH);
	link->has_ebpf = false;
	qs_ladder_search(&parties[0].endpoint);
	settle();
	must_find();
	parties[0].endpoint.steering = QS_STEERING_HASH;
	later(QS_NSEC);
	all_are(QS_RUNG_HASH);
}

int main(void)
{
#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, all_join, all_leave)
	const struct CMUnitTest tests[] = {
		WITH_ALL(all_are_found),
		WITH_ALL(one_leaves),
		WITH_ALL(a_dead_ones_socket_stays),
		WITH_ALL(the_eldest_leaves),
		WITH_ALL(a_strangers_socket_leaves),
		WITH_ALL(forged_answers_are_nothing),
		WITH_ALL(a_flood_of_probes_ends_no_link),
		WITH_ALL(it_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
