/* SPDX-License-Identifier: MIT */
/* The rung of classic BPF: members find out where in the kernel's group they are, whatever happens to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "endpoint.h"
#include "group.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define N 4

/* An engine of which only the group and the probes work: the test turns its loop. */
struct party {
	struct qs_engine engine;
	struct qs_endpoint endpoint;
	struct qs_member *member; /* NULL: it has left */
};
static struct party parties[N];
static uint16_t port;

static void bury(struct qs_engine *engine)
{
	while (!SLIST_EMPTY(&engine->graves)) {
		struct qs_grave *grave = SLIST_FIRST(&engine->graves);

		SLIST_REMOVE_HEAD(&engine->graves, link);
		grave->fn(grave);
	}
}

/* One datagram: 1 if it was no probe, 0 if it was one, -1 if there was none. */
static int receive(struct party *p)
{
	struct qs_classic_probe probe;
	uint8_t data[64];
	ssize_t n = recv(p->endpoint.udp.fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0)
		return -1;
	if (n != QS_CLASSIC_PROBE_LEN || !qs_classic_probe_read(data + 1, QS_CID_LEN, &probe))
		return 1;
	if (p->member != NULL)
		assert_true(qs_ladder_probed(&p->endpoint, data + 1, QS_CID_LEN));
	return 0;
}

static void turn(struct party *p)
{
	p->engine.group_source.fn(&p->engine.group_source, EPOLLIN);
	while (receive(p) >= 0)
		;
}

static void settle(void)
{
	for (int i = 0; i < 64; i++)
		if (parties[i % N].member != NULL)
			turn(&parties[i % N]);
}

/* Moves the engines' clock, which they read once a turn. */
static void later(uint64_t ns)
{
	for (uint64_t past = 0; past < ns; past += 100 * QS_MSEC) {
		for (unsigned i = 0; i < N; i++) {
			parties[i].engine.now_ns += 100 * QS_MSEC;
			if (parties[i].member != NULL)
				qs_ladder_sweep(&parties[i].endpoint);
		}
		settle();
	}
}

static struct qs_addr address(void)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {127, 0, 0, 1}};
}

static void udp_open(struct qs_udp *udp)
{
	struct qs_udp_options options = {.reuseport = true};
	struct qs_addr at = address();
	struct sockaddr_storage sa;

	qs_addr_to_sockaddr(&at, AF_INET, &sa);
	assert_int_equal(qs_udp_open(udp, (struct sockaddr *)&sa, &options), 0);
	port = udp->port;
}

static void join(struct party *p, enum qs_steering steering)
{
	struct qs_addr at = address();

	memset(p, 0, sizeof(*p));
	p->engine.now_ns = QS_NSEC;
	p->engine.epfd = epoll_create1(EPOLL_CLOEXEC);
	SLIST_INIT(&p->engine.graves);
	TAILQ_INIT(&p->engine.listeners);
	p->endpoint = (struct qs_endpoint){.engine = &p->engine,
					   .address = at,
					   .server = true,
					   .steering = steering,
					   .owner = -1,
					   .udp.fd = -1};
	assert_int_equal(qs_member_join(&p->engine, &p->endpoint, &at, 1, &p->member), 0);
	p->endpoint.member = p->member;
	settle();
	udp_open(&p->endpoint.udp);
	qs_member_bound(p->member);
	settle();
}

/* As a process that is killed does: the links end, and the socket is closed some time. */
static void leave(struct party *p)
{
	qs_member_leave(p->member);
	p->member = NULL;
	bury(&p->engine);
	qs_group_fini(&p->engine);
	close(p->engine.epfd);
}

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

static void all_are(enum qs_rung rung)
{
	for (unsigned i = 0; i < N; i++)
		if (parties[i].member != NULL)
			assert_int_equal(qs_ladder_rung(&parties[i].endpoint), rung);
}

/* Waits for one that is no probe; a busy machine takes its time even on loopback. */
static unsigned receiver(void)
{
	struct pollfd fds[N];

	for (;;) {
		for (unsigned i = 0; i < N; i++)
			fds[i] =
				(struct pollfd){.fd = parties[i].endpoint.udp.fd, .events = POLLIN};
		assert_true(poll(fds, N, 20000) > 0);
		for (unsigned i = 0; i < N; i++) {
			if (fds[i].revents != 0 && receive(&parties[i]) > 0)
				return i;
		}
	}
}

/* How many datagrams for somebody's ID come to another. */
static unsigned misled(void)
{
	struct qs_addr at = address();
	struct sockaddr_storage sa;
	socklen_t len = qs_addr_to_sockaddr(&at, AF_INET, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++) {
		uint8_t data[1 + QS_CID_LEN] = {0x40};
		struct qs_cid_fields fields = {0};

		if (parties[i].member == NULL)
			continue;
		fields.slot = parties[i].member->slot;
		qs_cid_encode(data + 1, &fields);
		assert_int_equal(sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&sa, len),
				 sizeof(data));
		n += receiver() != i;
	}
	close(fd);
	return n;
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

/* The eldest loads in a thread, and both are steered; or nobody may. */
static void the_loop_goes_on_while_one_loads(void **state)
{
	struct qs_ladder *ladder = &parties[0].endpoint.ladder;
	struct pollfd pfd;

	(void)state;
	port = 0;
	join(&parties[0], QS_STEERING_EBPF);
	port = parties[0].endpoint.udp.port;
	join(&parties[1], QS_STEERING_EBPF);
	assert_true(ladder->tried || ladder->load == NULL);
	while (ladder->load != NULL) {
		pfd = (struct pollfd){.fd = parties[0].engine.group_epfd, .events = POLLIN};
		assert_true(poll(&pfd, 1, 60000) > 0);
		settle();
	}
	settle();
	if (ladder->steer != NULL) {
		all_are(QS_RUNG_EBPF);
		assert_int_equal(misled(), 0);
	}
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

static int two_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		leave(&parties[i]);
		qs_udp_close(&parties[i].endpoint.udp);
	}
	return 0;
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
		cmocka_unit_test_teardown(the_loop_goes_on_while_one_loads, two_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
