// SPDX-License-Identifier: MIT
// Packets for no connection of ours: those of siblings are handed over, those of nobody answered by a stateless reset, of
// whoever may have the secret, and those of living connections never so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "cid.h"
#include "conn_parts.h"
#include "endpoint_parts.h"
#include "group_kit.h"

#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define N 3
#define FREE_SLOT 9
#define LEN 400u

static struct party parties[N];
static uint16_t port;
static int client; /* a socket */
static struct sockaddr_in target;

static struct qs_addr address(uint8_t last)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {127, 0, 0, last}};
}

/* The first one has a UDP socket. In slot 1 is somebody with another key. */
static int all_join(void **state)
{
	struct qs_udp_options options = {0};
	struct qs_udp udp;

	(void)state;
	target = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(qs_udp_open(&udp, (struct sockaddr *)&target, &options), 0);
	port = udp.port;
	target.sin_port = htons(port);
	for (unsigned i = 0; i < N; i++)
		party_join(&parties[i], address(1));
	parties[0].endpoint.udp = udp;
	assert_int_equal(qs_udp_batch_init(&parties[0].engine.batch), 0);
	parties[1].member->secret = 2;
	parties_settle(parties, N);
	client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return 0;
}

static int all_leave(void **state)
{
	(void)state;
	close(client);
	qs_udp_close(&parties[0].endpoint.udp);
	qs_udp_batch_fini(&parties[0].engine.batch);
	for (unsigned i = 0; i < N; i++)
		party_leave(&parties[i]);
	return 0;
}

static uint64_t resets(unsigned i)
{
	return parties[i].endpoint.n_resets;
}

static void id_of(uint8_t *out, uint16_t slot)
{
	struct qs_cid_fields fields = {.slot = slot, .generation = 7};

	qs_cid_encode(out, &fields);
}

/* Comes to the first one's socket. */
static void arrives(uint16_t slot, size_t len)
{
	uint8_t packet[LEN] = {0x40};

	id_of(packet + 1, slot);
	assert_int_equal(sendto(client, packet, len, 0, (struct sockaddr *)&target, sizeof(target)),
			 len);
	qs_endpoint_drain(&parties[0].endpoint);
	parties_settle(parties, N);
}

/* From the first one to that in slot 1, for the latter's predecessor. */
static void hand_over(enum qs_handoff_type type)
{
	uint8_t packet[LEN] = {0x40};
	struct qs_udp_train train = {.data = packet, .len = LEN, .segment = LEN};
	struct qs_addr local = address(1), remote = address(9);

	id_of(packet + 1, 1);
	train.local_len = qs_addr_to_sockaddr(&local, AF_INET, &train.local);
	train.remote_len = qs_addr_to_sockaddr(&remote, AF_INET, &train.remote);
	assert_true(qs_link_send(qs_member_link(parties[0].member, 1), type, 0, &train));
	parties_settle(parties, N);
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

/* All together are no longer than what came. */
static void a_small_one_is_answered_by_few(void **state)
{
	char answer[LEN];

	(void)state;
	arrives(FREE_SLOT, 21);
	assert_int_equal(resets(0), 0);
	arrives(FREE_SLOT, 22);
	assert_int_equal(resets(0), 1);
	assert_in_range(recv(client, answer, sizeof(answer), 0), 1, 21);
	parties[0].member->secret = 3; /* so that the others have another one */
	arrives(FREE_SLOT, 81);
	assert_int_equal(resets(0), 2);
	assert_int_equal(resets(1) + resets(2), 0);
	arrives(FREE_SLOT, 100);
	assert_int_equal(resets(1) + resets(2), 1);
	arrives(FREE_SLOT, LEN);
	assert_int_equal(resets(1) + resets(2), 3);
}

static void many_are_not_all_answered(void **state)
{
	(void)state;
	for (int i = 0; i < 150; i++)
		arrives(FREE_SLOT, LEN);
	assert_int_equal(resets(0), 100);
	parties[0].engine.now_ns += 2 * QS_NSEC;
	arrives(FREE_SLOT, LEN);
	assert_int_equal(resets(0), 101);
}

/* One whom we don't believe, or have lost sight of, has the slot: the connection may live. */
static void a_taken_slot_is_left_alone(void **state)
{
	struct qs_link *link = qs_member_link(parties[0].member, 2);

	(void)state;
	qs_link_end(link);
	arrives(2, LEN);
	assert_int_equal(resets(0) + resets(1) + resets(2), 0);
}

/* What comes late for an ID that a living connection has given up. */
static void a_retired_id_is_no_orphan(void **state)
{
	struct qs_conn conn = {.engine = &parties[0].engine, .endpoint = &parties[0].endpoint};
	uint8_t id[QS_CID_LEN];

	(void)state;
	id_of(id, 0);
	assert_int_equal(qs_conn_cid_add(&conn, id, sizeof(id)), 0);
	qs_conn_cid_retire(&conn, id, sizeof(id));
	arrives(0, LEN);
	assert_int_equal(resets(0), 0);
	qs_conn_cid_remove(&conn, id, sizeof(id));
	arrives(0, LEN);
	assert_int_equal(resets(0), 1);
}

/* A train of the network's may hold packets of several connections: each goes to its owner, and what belongs together
 * goes in one message. */
static void a_train_is_cut_where_ids_change(void **state)
{
	static const uint16_t slots[] = {1, 1, 2, 1, FREE_SLOT};
	const uint16_t segment = 100;
	uint8_t data[5 * 100] = {0};
	int size = segment;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		data[i * segment] = 0x40;
		id_of(data + i * segment + 1, slots[i]);
	}
	if (setsockopt(client, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0 ||
	    !parties[0].endpoint.udp.gro)
		skip();
	assert_int_equal(
		sendto(client, data, sizeof(data), 0, (struct sockaddr *)&target, sizeof(target)),
		sizeof(data));
	qs_endpoint_drain(&parties[0].endpoint);
	parties_settle(parties, N);
	assert_int_equal(parties[0].endpoint.udp.received_trains, 1);
	assert_int_equal(parties[0].member->handed_out, 3);
	assert_true(resets(0) >= 1); /* and what the one in slot 1 asked for */
}

/* Each costs keys and a packet, and anybody can ask for it in anybody's name. */
static void refusals_are_few(void **state)
{
	struct qs_udp_train train = {.segment = LEN};
	ngtcp2_cid id = {.datalen = 8};
	struct qs_addr local = address(1), remote = address(9);

	(void)state;
	train.local_len = qs_addr_to_sockaddr(&local, AF_INET, &train.local);
	train.remote_len = qs_addr_to_sockaddr(&remote, AF_INET, &train.remote);
	for (int i = 0; i < 1500; i++)
		qs_endpoint_refuse(&parties[0].endpoint, &train, NGTCP2_PROTO_VER_V1, &id, &id,
				   NGTCP2_CONNECTION_REFUSED);
	assert_int_equal(parties[0].endpoint.n_refused, 1000);
}

/* What has come to a socket that is about to close is handed on before. */
static void who_closes_hands_on_what_is_there(void **state)
{
	struct qs_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	struct qs_engine *engine = &parties[0].engine;
	struct qs_addr at = address(1);
	uint8_t packet[LEN] = {0x40};

	(void)state;
	party_leave(&parties[2]);
	*endpoint = (struct qs_endpoint){.engine = engine,
					 .address = at,
					 .server = true,
					 .owner = -1,
					 .udp = parties[0].endpoint.udp};
	parties[0].endpoint.udp.fd = -1;
	endpoint->source.fd = endpoint->udp.fd;
	assert_int_equal(qs_member_join(engine, endpoint, &at, 1, &endpoint->member), 0);
	TAILQ_INSERT_TAIL(&engine->endpoints, endpoint, link);
	parties_settle(parties, 2);
	id_of(packet + 1, 1);
	assert_int_equal(sendto(client, packet, LEN, 0, (struct sockaddr *)&target, sizeof(target)),
			 LEN);
	qs_endpoint_release(endpoint);
	party_bury(engine);
	parties_settle(parties, 2);
	assert_int_equal(parties[1].member->handed_in, 1);
}

int main(void)
{
#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, all_join, all_leave)
	const struct CMUnitTest tests[] = {
		WITH_ALL(who_is_handed_one_asks_the_others), WITH_ALL(who_is_asked_asks_nobody),
		WITH_ALL(a_small_one_is_answered_by_few),    WITH_ALL(many_are_not_all_answered),
		WITH_ALL(a_taken_slot_is_left_alone),	     WITH_ALL(a_retired_id_is_no_orphan),
		WITH_ALL(a_train_is_cut_where_ids_change),   WITH_ALL(refusals_are_few),
		WITH_ALL(who_closes_hands_on_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
