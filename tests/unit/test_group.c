/* SPDX-License-Identifier: MIT */
/* Engines that share a UDP port: they find each other, say what they serve, and lose nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "conn.h"
#include "group_kit.h"
#include "listen.h"
#include "stream.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N 3

static struct party parties[N];

static void join(struct party *p, uint8_t last)
{
	party_join(p, party_address(last));
}

static int all_join(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		join(&parties[i], (uint8_t)(i == 2 ? 2 : 1));
	parties_settle(parties, N);
	return 0;
}

static int all_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		party_leave(&parties[i]);
	return 0;
}

static void they_know_each_other(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < N; i++) {
		assert_int_equal(parties[i].member->slot, i);
		for (uint16_t k = 0; k < N; k++) {
			struct qs_link *link = qs_member_link(parties[i].member, k);

			assert_int_equal(link != NULL, i != k);
			if (link != NULL)
				assert_int_equal(link->peer.generation,
						 parties[k].member->generation);
		}
	}
	assert_true(qs_member_has_twin(parties[0].member));
	assert_false(qs_member_has_twin(parties[2].member));
	assert_true(qs_member_slot_taken(parties[0].member, 1));
	assert_false(qs_member_slot_taken(parties[0].member, 3));
	assert_false(qs_member_slot_taken(parties[0].member, QS_GROUP_SLOTS));
}

static void a_slot_is_used_again(void **state)
{
	uint16_t before = parties[1].member->generation;

	(void)state;
	party_leave(&parties[1]);
	parties_settle(parties, N);
	assert_null(qs_member_link(parties[0].member, 1));
	assert_false(qs_member_has_twin(parties[0].member));
	join(&parties[1], 1);
	parties_settle(parties, N);
	assert_int_equal(parties[1].member->slot, 1);
	assert_non_null(qs_member_link(parties[2].member, 1));
	/* 1 in 65,536 that it is the same */
	assert_true(qs_member_link(parties[0].member, 1)->peer.generation != before ||
		    parties[1].member->generation == before);
}

static void much_is_served(void **state)
{
	struct qs_serve *serves = calloc(300, sizeof(*serves));
	struct qs_link *link;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		serves[i] = (struct qs_serve){.id = i,
					      .endpoint = party_address(1),
					      .tcp = party_address(1),
					      .alpn = "h3"};
		snprintf(serves[i].name, sizeof(serves[i].name), "%u.test", i);
	}
	qs_member_publish(parties[0].member, serves, 300);
	parties_settle(parties, N);
	link = qs_member_link(parties[2].member, 0);
	assert_int_equal(link->n_serves, 300);
	assert_string_equal(link->serves[299].name, "299.test");
	qs_member_publish(parties[0].member, serves, 1);
	parties_settle(parties, N);
	assert_int_equal(link->n_serves, 1);
	qs_member_publish(parties[0].member, NULL, 0);
	parties_settle(parties, N);
	assert_int_equal(link->n_serves, 0);
	free(serves);
}

static void *turn_until(void *stop)
{
	while (!atomic_load((atomic_bool *)stop)) {
		party_turn(&parties[1]);
		party_turn(&parties[2]);
		sched_yield();
	}
	return NULL;
}

static void sync_waits_for_all(void **state)
{
	atomic_bool stop = false;
	pthread_t thread;
	struct timespec a, b;

	(void)state;
	pthread_create(&thread, NULL, turn_until, &stop);
	qs_member_sync(parties[0].member);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(qs_member_link(parties[0].member, 1)->acked, parties[0].member->sync);
	assert_int_equal(qs_member_link(parties[0].member, 2)->acked, parties[0].member->sync);
	/* One that is stopped does not hold the others for ever. */
	clock_gettime(CLOCK_MONOTONIC, &a);
	qs_member_sync(parties[0].member);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 15);
}

/* Moves the engines' clock, which they read once a turn. */
static void later(uint64_t ns)
{
	for (unsigned i = 0; i < N; i++) {
		parties[i].engine.now_ns += ns;
		qs_member_sweep(parties[i].member);
	}
	parties_settle(parties, N);
}

static void a_lost_link_is_made_again(void **state)
{
	struct qs_link *link = qs_member_link(parties[0].member, 1);

	(void)state;
	assert_true(qs_member_has_neighbour(parties[0].member));
	shutdown(link->source.fd, SHUT_RDWR);
	parties_settle(parties, N);
	assert_null(qs_member_link(parties[0].member, 1));
	assert_false(qs_member_has_neighbour(parties[0].member));
	assert_false(qs_member_is_alone(parties[0].member)); /* not yet */
	later(3 * QS_NSEC);
	assert_non_null(qs_member_link(parties[0].member, 1));
	assert_non_null(qs_member_link(parties[1].member, 0));
	party_leave(&parties[1]);
	parties_settle(parties, N);
	parties[0].engine.now_ns += 3 * QS_NSEC;
	qs_member_sweep(parties[0].member);
	assert_false(qs_member_is_alone(parties[0].member));
	parties[0].engine.now_ns += 3 * QS_NSEC;
	qs_member_sweep(parties[0].member);
	assert_true(qs_member_is_alone(parties[0].member));
}

static void who_is_stopped_is_waited_for_once(void **state)
{
	struct timespec a, b;

	(void)state;
	qs_member_sync(parties[0].member); /* nobody turns the others' loops */
	assert_true(qs_member_link(parties[0].member, 1)->late);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 30; i++)
		qs_member_sync(parties[0].member);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 15); /* 30 s if each were waited for */
	parties_settle(parties, N);
	assert_false(qs_member_link(parties[0].member, 1)->late);
}

/* Party 0 has a stream in the queue of a listener of its. */
static struct scene {
	struct qs_rule rule;
	struct qs_listener listener;
	struct qs_conn conn;
	struct qs_stream stream;
	struct qs_options options;
} scene;

static void set_scene(void)
{
	struct qs_engine *engine = &parties[0].engine;
	struct qs_link *link = qs_member_link(parties[0].member, 1);

	memset(&scene, 0, sizeof(scene));
	scene.rule.alpn = "one";
	scene.listener = (struct qs_listener){
		.engine = engine, .id = 1, .cookie = 1, .path_fd = -1, .rule = &scene.rule};
	scene.listener.endpoints[0] = &parties[0].endpoint;
	TAILQ_INSERT_TAIL(&engine->listeners, &scene.listener, link);
	scene.conn.engine = scene.stream.engine = engine;
	scene.conn.endpoint = &parties[0].endpoint;
	scene.conn.rule = &scene.rule;
	scene.conn.local = party_address(1);
	TAILQ_INIT(&scene.conn.streams);
	TAILQ_INSERT_TAIL(&engine->conns, &scene.conn, link_all);
	scene.stream.conn = &scene.conn;
	scene.stream.server = true;
	scene.stream.source.fd = 0;
	TAILQ_INSERT_TAIL(&scene.conn.streams, &scene.stream, conn_link);
	engine->pages.options = &scene.options;
	link->peer.pid++; /* not of our own process */
}

/* Party 1 asks; whether it has its answer. */
static bool is_answered(uint32_t number)
{
	struct qs_link *link = qs_member_link(parties[1].member, 0);

	qs_link_say(link, QS_HANDOFF_SYNC, number, NULL, 0);
	parties_settle(parties, N);
	return link->acked == number;
}

/* The same after a look at the engine's clock. */
static bool is_answered_after(uint64_t ns, uint32_t number)
{
	struct qs_engine *engine = &parties[0].engine;

	engine->now_ns += ns;
	qs_timers_run(&engine->timers, engine->now_ns);
	parties_settle(parties, N);
	return qs_member_link(parties[1].member, 0)->acked == number;
}

static void a_queue_is_waited_for(void **state)
{
	struct qs_serve serve = {.id = 1,
				 .endpoint = party_address(1),
				 .tcp = party_address(1),
				 .alpn = "two",
				 .cookie = 2};

	(void)state;
	set_scene();
	assert_false(is_answered(1));
	assert_false(is_answered_after(10 * QS_MSEC, 1));
	scene.options.accepted = 1;
	assert_true(is_answered_after(10 * QS_MSEC, 1));
	assert_true(is_answered(2));
	/* Not for ever. */
	scene.options.accepted = 0;
	assert_false(is_answered(3));
	assert_true(is_answered_after(QS_NSEC, 3));
	assert_true(is_answered(9));
	is_answered_after(10 * QS_NSEC, 9);
	/* Not while we wait ourselves, also for what we owe already. */
	assert_false(is_answered(4));
	qs_group_handle(&parties[0].engine, 1);
	assert_true(is_answered_after(0, 4));
	/* What is held is safe, and what the app has written to it has. */
	scene.stream.held = true;
	assert_true(is_answered(5));
	scene.stream.held = false;
	scene.stream.tx_taken = 1;
	assert_true(is_answered(6));
	scene.stream.tx_taken = 0;
	/* Who serves another protocol takes nothing from us. */
	qs_member_publish(parties[1].member, &serve, 1);
	assert_true(is_answered(7));
	snprintf(serve.alpn, sizeof(serve.alpn), "one");
	qs_member_publish(parties[1].member, &serve, 1);
	is_answered_after(10 * QS_NSEC, 7);
	assert_false(is_answered(8));
	assert_true(is_answered_after(QS_NSEC, 8));
}

/* A datagram for the party's own ID, which no connection has. */
static struct qs_udp_train train_for(uint8_t *data, size_t len)
{
	struct qs_udp_train train = {.data = data, .len = len, .segment = len};
	struct qs_addr local = party_address(1), remote = party_address(9);

	train.local_len = qs_addr_to_sockaddr(&local, AF_INET, &train.local);
	train.remote_len = qs_addr_to_sockaddr(&remote, AF_INET, &train.remote);
	return train;
}

static void a_burst_is_not_lost(void **state)
{
	static uint8_t data[1452];
	struct qs_udp_train train = train_for(data, sizeof(data));
	struct qs_link *link = qs_member_link(parties[0].member, 1);

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(qs_link_send(link, QS_HANDOFF_PACKETS, 0, &train));
	for (unsigned i = 0; i < 1000 && parties[1].member->handed_in < 1000; i++)
		parties_settle(parties, N);
	assert_int_equal(parties[1].member->handed_in, 1000);
	assert_int_equal(parties[0].member->lost, 0);
	/* Who never reads costs so much memory and no more. */
	for (unsigned i = 0; i < 40000; i++)
		qs_link_send(link, QS_HANDOFF_PACKETS, 0, &train);
	assert_true(parties[0].member->lost > 0);
	assert_true(link->queued <= (8u << 20));
	for (unsigned i = 0; i < 1000 && link->queued > 0; i++)
		parties_settle(parties, N);
	assert_int_equal(link->queued, 0);
}

static void leaving_loses_nothing(void **state)
{
	static uint8_t data[60000];
	struct qs_udp_train train = train_for(data, sizeof(data));
	struct qs_link *link = qs_member_link(parties[0].member, 2);
	atomic_bool stop = false;
	pthread_t thread;
	uint64_t sent = 0;

	(void)state;
	while (link->queued < (1u << 20))
		sent += qs_link_send(link, QS_HANDOFF_PACKETS, 0, &train);
	pthread_create(&thread, NULL, turn_until, &stop);
	party_leave(&parties[0]);
	while (parties[2].member->handed_in < sent && qs_member_link(parties[2].member, 0) != NULL)
		sched_yield();
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	parties_settle(parties, N);
	assert_int_equal(parties[2].member->handed_in, sent);
}

/* Connects to slot 0 and sends; true if the other side closed without a word. */
static bool is_sent_away(const void *message, size_t len)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), n;
	char answer[1024];
	ssize_t got;
	bool spoke = false, gone;

	n = snprintf(name.sun_path + 1, 100, "quicshim/udp4/%u/0", party_address(1).port);
	if (connect(fd, (struct sockaddr *)&name,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0)
		return false;
	send(fd, message, len, MSG_NOSIGNAL);
	for (int i = 0; i < 16; i++)
		party_turn(&parties[0]);
	while ((got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0)
		spoke = true;
	gone = got == 0 || errno == ECONNRESET;
	close(fd);
	return gone && !spoke;
}

static void strangers_are_refused(void **state)
{
	struct qs_handoff_head head;
	int status = 0;
	pid_t child;

	(void)state;
	qs_handoff_head(&head, QS_HANDOFF_SYNC, 1);
	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0) {
		if (setuid(65534) < 0)
			_exit(2);
		/* Our copy of the listener answers with the uid of its birth. */
		parties[0].member->uids[0] = parties[0].member->uids[1] = 0;
		_exit(is_sent_away(&head, sizeof(head)) ? 0 : 1);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void bad_messages_end_a_link(void **state)
{
	struct qs_handoff_head head;
	uint64_t before;

	(void)state;
	before = parties[0].member->handed_in;
	qs_handoff_head(&head, QS_HANDOFF_SYNC, 1); /* before any hello */
	assert_false(is_sent_away(&head, sizeof(head)));
	assert_false(is_sent_away("x", 1));
	parties_settle(parties, N);
	assert_int_equal(parties[0].member->handed_in, before);
	assert_non_null(qs_member_link(parties[0].member, 1));
}

int main(void)
{
#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, all_join, all_leave)
	const struct CMUnitTest tests[] = {
		WITH_ALL(they_know_each_other),
		WITH_ALL(a_slot_is_used_again),
		WITH_ALL(much_is_served),
		WITH_ALL(sync_waits_for_all),
		WITH_ALL(a_lost_link_is_made_again),
		WITH_ALL(who_is_stopped_is_waited_for_once),
		WITH_ALL(a_queue_is_waited_for),
		WITH_ALL(a_burst_is_not_lost),
		WITH_ALL(leaving_loses_nothing),
		WITH_ALL(strangers_are_refused),
		WITH_ALL(bad_messages_end_a_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
