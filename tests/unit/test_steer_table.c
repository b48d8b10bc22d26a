/* SPDX-License-Identifier: MIT */
/* Sharing a reuseport group: claims, and what moves when members come and go. */
#include "steer_kit.h"

#define FLOWS 800
#define FIRST_PORT 20000

/* Exactly as many buckets move as the newcomer gets, or the leaver had. */
static void moved_buckets(void **state)
{
	struct steer_group g;

	(void)state;
	kit_open(&g, AF_INET, 1);
	kit_balance(&g, 1);
	for (unsigned n = 2; n <= MEMBERS_MAX; n++) {
		assert_int_equal(kit_join(&g, n - 1), QS_STEER_BUCKETS / n);
		kit_balance(&g, n);
		assert_int_equal(qs_steer_settle(g.steer), 0);
	}
	for (unsigned n = MEMBERS_MAX; n > 1; n--) {
		struct member *m = &g.members[(n * 5) % MEMBERS_MAX];
		struct qs_steer_slot_view view;
		int moved;

		/* By release, by draining, and by a death that a sibling finds out about. */
		assert_int_equal(qs_steer_slot_view(g.steer, m->id.slot, &view), 0);
		if (n % 3 == 0)
			moved = qs_steer_release(g.steer, &m->id);
		else if (n % 3 == 1)
			moved = qs_steer_set(g.steer, &m->id, QS_STEER_DRAINING);
		else
			moved = 0;
		close(m->fd);
		m->fd = -1;
		moved += qs_steer_settle(g.steer);
		assert_int_equal(moved, view.buckets);
		kit_balance(&g, n - 1);
	}
	kit_close(&g);
}

/* Who comes and goes again leaves all as it was. */
static void there_and_back(void **state)
{
	uint16_t before[QS_STEER_BUCKETS], slot, previous;
	struct steer_group g;

	(void)state;
	kit_open(&g, AF_INET, 4);
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++)
		assert_int_equal(qs_steer_bucket_view(g.steer, i, &before[i], &previous), 0);
	kit_join(&g, 4);
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++) {
		assert_int_equal(qs_steer_bucket_view(g.steer, i, &slot, &previous), 0);
		assert_int_equal(slot == g.members[4].id.slot ? previous : slot, before[i]);
	}
	assert_int_equal(qs_steer_release(g.steer, &g.members[4].id), QS_STEER_BUCKETS / 5);
	for (unsigned i = 0, same = 0; i < QS_STEER_BUCKETS; i++) {
		assert_int_equal(qs_steer_bucket_view(g.steer, i, &slot, &previous), 0);
		same += slot == before[i];
		assert_true(i < QS_STEER_BUCKETS - 1 || same == QS_STEER_BUCKETS);
	}
	assert_int_equal(qs_steer_bucket_view(g.steer, QS_STEER_BUCKETS, &slot, &previous),
			 -EINVAL);
	kit_close(&g);
}

static void flows_read(const struct steer_group *g, int to[static FLOWS])
{
	uint8_t data[100];
	size_t n = kit_long(data, 0xc0, V1, "12345678", 8);

	for (unsigned i = 0; i < FLOWS; i++) {
		int fd = kit_client(g->family, (uint16_t)(FIRST_PORT + i));

		to[i] = kit_send(g, fd, data, n);
		assert_true(to[i] >= 0);
		close(fd);
	}
}

/* Returns percent; all of them came from or went to that member. */
static unsigned flows_moved(const int a[static FLOWS], const int b[static FLOWS], int member)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < FLOWS; i++) {
		if (a[i] == b[i])
			continue;
		assert_true(a[i] == member || b[i] == member);
		moved++;
	}
	return (moved * 100 + FLOWS / 2) / FLOWS;
}

/* The same by flows, as a client sees it. */
static void moved_flows(void **state)
{
	int flows[4][FLOWS];
	unsigned joined, drained, released;
	struct steer_group g;

	(void)state;
	kit_open(&g, AF_INET, 4);
	flows_read(&g, flows[0]);
	kit_join(&g, 4);
	flows_read(&g, flows[1]);
	qs_steer_set(g.steer, &g.members[1].id, QS_STEER_DRAINING);
	flows_read(&g, flows[2]);
	qs_steer_release(g.steer, &g.members[1].id);
	flows_read(&g, flows[3]);
	joined = flows_moved(flows[0], flows[1], 4);
	drained = flows_moved(flows[1], flows[2], 1);
	released = flows_moved(flows[2], flows[3], 1);
	print_message("flows moved: %u %% when a fifth joins, %u %% when one of five drains, %u %% "
		      "when it goes\n",
		      joined, drained, released);
	/* A fifth; buckets are not equally full. */
	assert_in_range(joined, 14, 26);
	assert_in_range(drained, 14, 26);
	assert_int_equal(released, 0);
	kit_close(&g);
}

static void generations(void **state)
{
	struct qs_steer_member first = {0}, next = {0};
	struct steer_group g;

	(void)state;
	kit_open(&g, AF_INET, 1);
	first = g.members[0].id;
	/* Round the corner of 16 bits. */
	for (unsigned i = 1; i <= 0x10000; i += 1) {
		assert_true(qs_steer_release(g.steer, &g.members[0].id) >= 0);
		assert_int_equal(qs_steer_claim(g.steer, g.members[0].fd, &next), 0);
		assert_int_equal(next.slot, first.slot);
		assert_int_equal(next.generation, (uint16_t)(first.generation + i));
		g.members[0].id = next;
	}
	kit_close(&g);
}

/* All slots taken, one socket each. */
static void full(void **state)
{
	int fds[QS_STEER_SLOTS + 1];
	struct qs_steer_member ids[QS_STEER_SLOTS], more;
	struct steer_group g;

	(void)state;
	kit_open(&g, AF_INET, 1);
	for (unsigned i = 1; i <= QS_STEER_SLOTS; i++) {
		fds[i] = kit_socket(&g);
		if (i == QS_STEER_SLOTS)
			break;
		assert_int_equal(qs_steer_claim(g.steer, fds[i], &ids[i]), 0);
		assert_int_equal(qs_steer_set(g.steer, &ids[i], QS_STEER_ACCEPTING),
				 QS_STEER_BUCKETS / (i + 1));
	}
	kit_balance(&g, QS_STEER_SLOTS);
	assert_int_equal(qs_steer_claim(g.steer, fds[QS_STEER_SLOTS], &more), -ENOSPC);
	/* A slot is free when its socket is closed, by whomever. */
	close(fds[77]);
	assert_int_equal(qs_steer_claim(g.steer, fds[QS_STEER_SLOTS], &more), 0);
	assert_int_equal(more.slot, 77);
	for (unsigned i = 1; i <= QS_STEER_SLOTS; i++) {
		if (i != 77)
			close(fds[i]);
	}
	assert_int_equal(qs_steer_settle(g.steer), QS_STEER_BUCKETS - 1);
	kit_balance(&g, 1);
	kit_close(&g);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(qs_steer_state_name(QS_STEER_DRAINING), "draining");
	assert_string_equal(qs_steer_state_name(QS_STEER_N_STATES), "?");
	assert_string_equal(qs_steer_count_name(QS_STEER_NOBODY), "nobody");
	assert_string_equal(qs_steer_count_name(QS_STEER_N_COUNTS), "?");
	qs_steer_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	  cmocka_unit_test(moved_buckets),
		cmocka_unit_test(there_and_back), cmocka_unit_test(moved_flows),
		cmocka_unit_test(generations),	  cmocka_unit_test(full),
	};
	char dir[] = "/tmp/test_steer_table.XXXXXX";
	int failed;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	kit_enter(dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	umount(dir);
	rmdir(dir);
	return failed;
}
