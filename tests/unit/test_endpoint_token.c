// SPDX-License-Identifier: MIT
// A Retry of one of the engines that share a UDP port, whose client's next Initial comes to another, with another key.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "cid.h"
#include "group_kit.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct party parties[2];

/* Each knows the other's secret by its hello: so one of them says it anew, with the secret. */
static int both_join(void **state)
{
	struct qs_addr at = party_address(1);

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		party_join(&parties[i], at);
	parties_settle(parties, 2);
	for (unsigned i = 0; i < 2; i++)
		memset(parties[i].endpoint.token_secret, 'a' + (int)i,
		       sizeof(parties[i].endpoint.token_secret));
	qs_link_end(qs_member_link(parties[0].member, 1));
	parties_settle(parties, 2);
	parties[0].engine.now_ns += 10 * QS_NSEC;
	qs_member_sweep(parties[0].member);
	parties_settle(parties, 2);
	return 0;
}

static int both_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		party_leave(&parties[i]);
	return 0;
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
}

/* What the second one says of an Initial that follows the first one's Retry, which named this slot. */
static enum qs_token_kind judged(uint16_t slot)
{
	struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(4433)};
	ngtcp2_pkt_hd hd = {.version = NGTCP2_PROTO_VER_V1, .type = NGTCP2_PKT_INITIAL}, retry;
	struct qs_cid_fields fields = {.slot = slot};
	ngtcp2_cid scid = {.datalen = QS_CID_LEN}, odcid = {0}, want;
	enum qs_token_kind kind;
	uint8_t packet[256];
	ngtcp2_ssize head;
	ssize_t n;

	ngtcp2_cid_init(&hd.dcid, (const uint8_t *)"original-dcid", 13);
	ngtcp2_cid_init(&hd.scid, (const uint8_t *)"client", 6);
	want = hd.dcid;
	qs_cid_encode(scid.data, &fields);
	n = qs_token_write_retry(packet, sizeof(packet), parties[0].endpoint.token_secret, &hd,
				 (struct sockaddr *)&remote, &scid, wall_ns());
	assert_true(n > 0);
	head = ngtcp2_pkt_decode_hd_long(&retry, packet, (size_t)n);
	assert_true(head > 0);
	hd.dcid = scid;
	hd.token = packet + head;
	hd.tokenlen = (size_t)(n - head) - 16; /* the integrity tag */
	kind = qs_endpoint_token(&parties[1].endpoint, &hd, (struct sockaddr *)&remote, &odcid);
	if (kind == QS_TOKEN_RETRY)
		assert_true(ngtcp2_cid_eq(&odcid, &want));
	return kind;
}

static void a_siblings_token_is_good(void **state)
{
	(void)state;
	assert_int_equal(judged(0), QS_TOKEN_RETRY);
}

/* Nobody's, and the one's that is asked. */
static void anothers_is_not(void **state)
{
	(void)state;
	assert_int_equal(judged(5), QS_TOKEN_INVALID);
	assert_int_equal(judged(1), QS_TOKEN_INVALID);
}

int main(void)
{
#define WITH_BOTH(test) cmocka_unit_test_setup_teardown(test, both_join, both_leave)
	const struct CMUnitTest tests[] = {
		WITH_BOTH(a_siblings_token_is_good),
		WITH_BOTH(anothers_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
