/* SPDX-License-Identifier: MIT */
/* Tokens: of whom, from where, how long, and by which secret. */
#include "token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW (1700000000ull * NGTCP2_SECONDS)

static uint8_t secret[QS_TOKEN_SECRET], other_secret[QS_TOKEN_SECRET];
static struct sockaddr_in home;
static struct sockaddr_in6 home6;

static int begin(void **state)
{
	(void)state;
	assert_int_equal(qs_token_secret(secret, (const uint8_t *)"group", 5), 0);
	assert_int_equal(qs_token_secret(other_secret, (const uint8_t *)"another", 7), 0);
	home = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(4433)};
	inet_pton(AF_INET, "192.0.2.1", &home.sin_addr);
	home6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(4433)};
	inet_pton(AF_INET6, "2001:db8::1", &home6.sin6_addr);
	return 0;
}

/* The header of a client's first Initial. */
static ngtcp2_pkt_hd first_header(uint32_t version)
{
	ngtcp2_pkt_hd hd = {.version = version, .type = NGTCP2_PKT_INITIAL};

	ngtcp2_cid_init(&hd.dcid, (const uint8_t *)"original-dcid", 13);
	ngtcp2_cid_init(&hd.scid, (const uint8_t *)"client", 6);
	return hd;
}

/* Plays the client: reads our Retry and fills the header of its next Initial. `packet` must live. */
static void follow(ngtcp2_pkt_hd *hd, const uint8_t *packet, size_t len)
{
	ngtcp2_pkt_hd retry;
	ngtcp2_ssize n = ngtcp2_pkt_decode_hd_long(&retry, packet, len);

	assert_true(n > 0);
	assert_int_equal(retry.type, NGTCP2_PKT_RETRY);
	assert_int_equal(retry.version, hd->version);
	assert_true(ngtcp2_cid_eq(&retry.dcid, &hd->scid));
	hd->dcid = retry.scid;
	hd->token = packet + n;
	hd->tokenlen = len - (size_t)n - 16; /* the integrity tag */
}

static void retry(void **state)
{
	static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct sockaddr *remote = i % 2 ? (struct sockaddr *)&home6 : (void *)&home;
		ngtcp2_pkt_hd hd = first_header(versions[i / 2]);
		ngtcp2_cid ours, odcid = {0}, want = hd.dcid;
		uint8_t packet[256];
		ssize_t n;

		ngtcp2_cid_init(&ours, (const uint8_t *)"sixteen octets !", 16);
		n = qs_token_write_retry(packet, sizeof(packet), secret, &hd, remote, &ours, NOW);
		assert_true(n > 0);
		follow(&hd, packet, (size_t)n);
		assert_true(ngtcp2_cid_eq(&hd.dcid, &ours));
		assert_int_equal(qs_token_check(secret, &hd, remote, NOW + 1, &odcid),
				 QS_TOKEN_RETRY);
		assert_true(ngtcp2_cid_eq(&odcid, &want));
	}
}

static void whose_and_when(void **state)
{
	ngtcp2_pkt_hd hd = first_header(NGTCP2_PROTO_VER_V1), changed;
	struct sockaddr_in elsewhere = home;
	struct sockaddr *remote = (struct sockaddr *)&home;
	uint8_t packet[256], copy[256];
	ngtcp2_cid ours, odcid;
	ssize_t n;

	(void)state;
	ngtcp2_cid_init(&ours, (const uint8_t *)"sixteen octets !", 16);
	n = qs_token_write_retry(packet, sizeof(packet), secret, &hd, remote, &ours, NOW);
	assert_true(n > 0);
	follow(&hd, packet, (size_t)n);
	/* What the kernel leaves in the rest of a sockaddr does not matter. */
	memset(elsewhere.sin_zero, 1, sizeof(elsewhere.sin_zero));
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&elsewhere, NOW, &odcid),
			 QS_TOKEN_RETRY);
	elsewhere.sin_port ^= htons(1);
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&elsewhere, NOW, &odcid),
			 QS_TOKEN_INVALID);
	elsewhere = home;
	elsewhere.sin_addr.s_addr ^= htonl(1);
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&elsewhere, NOW, &odcid),
			 QS_TOKEN_INVALID);
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&home6, NOW, &odcid),
			 QS_TOKEN_INVALID);
	assert_int_equal(qs_token_check(other_secret, &hd, remote, NOW, &odcid), QS_TOKEN_INVALID);
	assert_int_equal(qs_token_check(secret, &hd, remote, NOW + QS_TOKEN_RETRY_NS - 1, &odcid),
			 QS_TOKEN_RETRY);
	assert_int_equal(qs_token_check(secret, &hd, remote, NOW + QS_TOKEN_RETRY_NS, &odcid),
			 QS_TOKEN_INVALID);
	changed = hd;
	changed.dcid.data[0] ^= 1; /* not the ID of our Retry */
	assert_int_equal(qs_token_check(secret, &changed, remote, NOW, &odcid), QS_TOKEN_INVALID);
	changed = hd;
	changed.version = NGTCP2_PROTO_VER_V2;
	assert_int_equal(qs_token_check(secret, &changed, remote, NOW, &odcid), QS_TOKEN_INVALID);
	/* Cut anywhere, and any octet changed. */
	for (size_t len = 1; len < hd.tokenlen; len++) {
		changed = hd;
		changed.tokenlen = len;
		assert_int_equal(qs_token_check(secret, &changed, remote, NOW, &odcid),
				 QS_TOKEN_INVALID);
	}
	for (size_t at = 1; at < hd.tokenlen; at++) {
		memcpy(copy, hd.token, hd.tokenlen);
		copy[at] ^= 0x10;
		changed = hd;
		changed.token = copy;
		assert_int_equal(qs_token_check(secret, &changed, remote, NOW, &odcid),
				 QS_TOKEN_INVALID);
	}
	changed = hd;
	changed.tokenlen = 0;
	assert_int_equal(qs_token_check(secret, &changed, remote, NOW, &odcid), QS_TOKEN_NONE);
	changed.token = (const uint8_t *)"somebody else's";
	changed.tokenlen = 15;
	assert_int_equal(qs_token_check(secret, &changed, remote, NOW, &odcid), QS_TOKEN_NONE);
}

static void regular(void **state)
{
	ngtcp2_pkt_hd hd = first_header(NGTCP2_PROTO_VER_V1);
	struct sockaddr_in later = home;
	uint8_t token[QS_TOKEN_REGULAR_MAX];
	ngtcp2_cid odcid;
	ssize_t n = qs_token_make_regular(token, secret, (struct sockaddr *)&home, NOW);

	(void)state;
	assert_true(n > 0);
	hd.token = token;
	hd.tokenlen = (size_t)n;
	later.sin_port = htons(9); /* another port of the same host will do */
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&later, NOW, &odcid),
			 QS_TOKEN_REGULAR);
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&home,
					NOW + QS_TOKEN_REGULAR_NS, &odcid),
			 QS_TOKEN_NONE);
	assert_int_equal(qs_token_check(other_secret, &hd, (struct sockaddr *)&home, NOW, &odcid),
			 QS_TOKEN_NONE);
	later.sin_addr.s_addr ^= htonl(1);
	assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&later, NOW, &odcid),
			 QS_TOKEN_NONE);
	for (size_t len = 1; len < (size_t)n; len++) {
		hd.tokenlen = len;
		assert_int_equal(qs_token_check(secret, &hd, (struct sockaddr *)&home, NOW, &odcid),
				 QS_TOKEN_NONE);
	}
}

static void refusal(void **state)
{
	ngtcp2_pkt_hd hd = first_header(NGTCP2_PROTO_VER_V1), answer;
	uint8_t packet[256];
	ssize_t n = qs_token_write_refusal(packet, sizeof(packet), &hd);

	(void)state;
	assert_true(n > 0 && n < 100); /* no amplification */
	assert_true(ngtcp2_pkt_decode_hd_long(&answer, packet, (size_t)n) > 0);
	assert_int_equal(answer.type, NGTCP2_PKT_INITIAL);
	assert_true(ngtcp2_cid_eq(&answer.dcid, &hd.scid));
	assert_int_equal(qs_token_write_refusal(packet, 10, &hd), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry),
		cmocka_unit_test(whose_and_when),
		cmocka_unit_test(regular),
		cmocka_unit_test(refusal),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
