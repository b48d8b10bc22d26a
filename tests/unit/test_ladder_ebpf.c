/* SPDX-License-Identifier: MIT */
/* The rung of eBPF: one loads the program for all, and no engine stands still for it. */
#include "ladder_kit.h"

#include <stdio.h>
#include <sys/prctl.h>

#ifdef QS_HAVE_STEER
#include "bpf/loader.h"
#endif

#define EXIT_SKIP 77

static bool loads;

static int all_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		if (parties[i].member == NULL)
			continue;
		qs_ladder_leave(&parties[i].endpoint);
		leave(&parties[i]);
		qs_udp_close(&parties[i].endpoint.udp);
	}
	return 0;
}

static void wait_for_load(void)
{
	struct pollfd pfd;

	while (parties[0].endpoint.ladder.load != NULL) {
		pfd = (struct pollfd){.fd = parties[0].engine.group_epfd, .events = POLLIN};
		assert_true(poll(&pfd, 1, 60000) > 0);
		settle();
	}
	settle();
}

/* The eldest loads in a thread, and both are steered; or nobody may, and the hash stays. */
static void the_loop_goes_on_while_one_loads(void **state)
{
	struct qs_ladder *ladder = &parties[0].endpoint.ladder;
	struct qs_udp first;

	(void)state;
	port = 0;
	udp_open(&first); /* chooses the port, by which members find each other */
	join(&parties[0], QS_STEERING_EBPF);
	qs_udp_close(&first);
	join(&parties[1], QS_STEERING_EBPF);
	assert_true(ladder->tried || ladder->load == NULL);
	wait_for_load();
	all_are(loads ? QS_RUNG_EBPF : QS_RUNG_HASH);
	if (loads)
		assert_int_equal(misled(), 0);
	/* One that leaves in the midst of it waits for its thread. */
	qs_ladder_leave(&parties[1].endpoint);
	leave(&parties[1]);
	qs_udp_close(&parties[1].endpoint.udp);
	qs_ladder_leave(&parties[0].endpoint);
	ladder->tried = false;
	settle();
	join(&parties[1], QS_STEERING_EBPF);
	qs_ladder_leave(&parties[1].endpoint);
	qs_ladder_leave(&parties[0].endpoint);
	assert_null(ladder->load);
}

/* One whose link is full when it is bound is told when there is room. */
static void who_could_not_be_told_is_told_later(void **state)
{
	static uint8_t data[60000];
	struct qs_udp_train train = {.data = data, .len = sizeof(data), .segment = sizeof(data)};
	struct qs_addr at;
	struct qs_link *link;
	struct qs_udp first;

	(void)state;
	port = 0;
	udp_open(&first);
	join(&parties[0], QS_STEERING_EBPF);
	qs_udp_close(&first);
	join(&parties[1], QS_STEERING_EBPF);
	wait_for_load();
	enter(&parties[2], QS_STEERING_EBPF);
	link = qs_member_link(parties[0].member, parties[2].member->slot);
	at = address();
	train.local_len = qs_addr_to_sockaddr(&at, AF_INET, &train.local);
	train.remote_len = qs_addr_to_sockaddr(&at, AF_INET, &train.remote);
	while (link->queued == 0)
		assert_true(qs_link_send(link, QS_HANDOFF_PACKETS, 0, &train));
	udp_open(&parties[2].endpoint.udp);
	qs_member_bound(parties[2].member);
	while (!link->untold)
		turn(&parties[0]);
	settle();
	later(QS_NSEC);
	assert_false(link->untold);
	wait_for_load();
	all_are(loads ? QS_RUNG_EBPF : QS_RUNG_HASH);
	if (loads)
		assert_int_equal(misled(), 0);
}

/* How many of the 4-tuples fall to this member. */
static unsigned share_of(const struct party *of, const struct party *seen_by)
{
#ifdef QS_HAVE_STEER
	struct qs_steer_slot_view view;

	assert_int_equal(
		qs_steer_slot_view(seen_by->endpoint.ladder.steer, of->member->slot, &view), 0);
	return view.buckets;
#else
	(void)of;
	(void)seen_by;
	return 0;
#endif
}

/* New connections of one that was killed go to the others, soon and for good. */
static void who_is_killed_has_no_share(void **state)
{
	struct qs_udp first;

	(void)state;
	if (!loads)
		return;
	port = 0;
	udp_open(&first);
	for (unsigned i = 0; i < 3; i++) {
		join(&parties[i], QS_STEERING_EBPF);
		if (i == 0)
			qs_udp_close(&first);
		wait_for_load();
	}
	for (unsigned i = 0; i < 3; i++) {
		parties[i].endpoint.n_listeners = 1;
		qs_ladder_update(&parties[i].endpoint);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(share_of(&parties[i], &parties[0]), 85, 86);
	leave(&parties[1]);
	qs_udp_close(&parties[1].endpoint.udp);
	settle();
	later(QS_NSEC);
	assert_int_equal(share_of(&parties[0], &parties[0]), 128);
	assert_int_equal(share_of(&parties[2], &parties[0]), 128);
}

/* Why there can be no program here; NULL if there can, and then there must be one. */
static const char *why_not(void)
{
#ifdef QS_HAVE_STEER
	struct qs_steer *steer;
	int rv;

	if (prctl(PR_GET_SECCOMP) != 0)
		return "a seccomp filter is on, under which an engine loads nothing";
	rv = qs_steer_load(&steer, 0);
	if (rv == -EPERM || rv == -ENOSYS)
		return "no eBPF program can be loaded here (needs root)";
	if (rv == 0)
		qs_steer_free(steer);
	return NULL;
#else
	return "built without clang, bpftool or libbpf";
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_loop_goes_on_while_one_loads, all_leave),
		cmocka_unit_test_teardown(who_could_not_be_told_is_told_later, all_leave),
		cmocka_unit_test_teardown(who_is_killed_has_no_share, all_leave),
	};
	const char *why = why_not();
	int failed;

	loads = why == NULL;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (failed != 0 || loads)
		return failed;
	fprintf(stderr, "SKIP: %s\n", why);
	return EXIT_SKIP;
}
