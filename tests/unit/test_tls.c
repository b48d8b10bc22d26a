// SPDX-License-Identifier: MIT
// TLS: whole handshakes in memory, and the guard, each refusal read by the other side.
// The guard's faults are put in by the test itself, behind the peer's back: no packet here would
// harm an engine that lacks the guard.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test_tls_pair.h"
#include "test_tls_pki.h"

#define NAME "db.example.com"
#define ALERT(n) (NGTCP2_CRYPTO_ERROR | (n))

static const uint8_t address4[4] = {192, 0, 2, 1};

/* Which files and names a handshake uses; NULL is the usual. */
struct setup {
	const char *server_cert, *server_key, *client_ca; /* of the server */
	const char *ca, *client_cert, *client_key; /* of the client */
	const char *server_alpn, *client_alpn;
	const char *sni, *verify_name;
	const uint8_t *verify_address;
	size_t verify_address_len;
	int (*client_fault)(struct side *, ngtcp2_encryption_level);
	int (*server_fault)(struct side *, ngtcp2_encryption_level);
	bool hide_from_client, hide_from_server; /* the peer's transport parameters */
	bool client_skips_verify;
};

static struct side client, server;
static char server_saw_name[256];

static const char *or_default(const char *file, const char *usual)
{
	return pki_path(file ? file : usual);
}

static int accept_anything(gnutls_session_t session)
{
	(void)session;
	return 0;
}

static struct qs_tls_creds *load(const struct qs_rule *rule)
{
	struct qs_tls_error error = {""};
	struct qs_tls_creds *creds;

	if (qs_tls_creds_new(rule, &creds, &error) != 0)
		fail_msg("%s", error.text);
	return creds;
}

static void handshake(const struct setup *s)
{
	struct qs_rule listen_rule = {.listen = true,
				      .alpn = s->server_alpn ? s->server_alpn : "quicshim",
				      .cert = or_default(s->server_cert, "server.pem"),
				      .key = or_default(s->server_key, "server.key"),
				      .client_ca = s->client_ca ? pki_path(s->client_ca) : NULL};
	struct qs_rule connect_rule = {.alpn = s->client_alpn ? s->client_alpn : "quicshim",
				       .ca = or_default(s->ca, "ca.pem"),
				       .cert = s->client_cert ? pki_path(s->client_cert) : NULL,
				       .key = s->client_key ? pki_path(s->client_key) : NULL};
	struct qs_tls_creds *server_creds = load(&listen_rule), *client_creds = load(&connect_rule);
	const char *name = s->verify_name || s->verify_address ? s->verify_name : NAME;

	pair_hide_params = NULL;
	pair_shown_params = NULL;
	pair_side_init(&client, &server);
	pair_side_init(&server, &client);
	assert_int_equal(qs_tls_client_init(&client.link, client_creds, connect_rule.alpn,
					    s->sni ? s->sni : NAME, name, s->verify_address,
					    s->verify_address_len),
			 0);
	assert_int_equal(qs_tls_server_init(&server.link, server_creds, listen_rule.alpn), 0);
	/* The sessions hold what they need. */
	qs_tls_creds_unref(server_creds);
	qs_tls_creds_unref(client_creds);
	client.fault = s->client_fault;
	server.fault = s->server_fault;
	if (s->client_skips_verify)
		gnutls_session_set_verify_function(client.link.session, accept_anything);

	assert_int_equal(pair_client_start(&client), 0);
	if (s->hide_from_client)
		pair_hide_params = client.conn;
	if (s->hide_from_server) {
		/* Its ngtcp2_conn does not exist yet: hide it when the first packet makes it. */
		uint8_t packet[PACKET_MAX];
		ngtcp2_path_storage path;
		ngtcp2_pkt_info pi;
		ngtcp2_ssize n;

		ngtcp2_path_storage_zero(&path);
		n = ngtcp2_conn_write_pkt(client.conn, &path.path, &pi, packet, sizeof(packet),
					  pair_now);
		assert_true(n > 0);
		assert_int_equal(pair_server_start(&server, packet, (size_t)n), 0);
		pair_hide_params = server.conn;
		pair_deliver(&server, packet, (size_t)n);
	}
	pair_run(&client, &server);
	qs_tls_server_name(&server.link, server_saw_name, sizeof(server_saw_name));
}

static void end(void)
{
	pair_side_fini(&server);
	pair_side_fini(&client);
	pair_hide_params = NULL;
}

static void expect_success(const struct setup *s)
{
	handshake(s);
	assert_true(client.completed);
	assert_true(server.completed);
	assert_false(client.closed);
	assert_false(server.closed);
	assert_int_equal(server.got_bytes, strlen(MESSAGE));
	assert_null(client.link.guard.verify_failure);
	assert_null(client.link.guard.refusal);
	assert_null(server.link.guard.refusal);
	assert_true(client.link.guard.verified);
	assert_true(server.link.guard.verified == server.link.guard.must_verify);
}

/* `by` refuses with this alert, which the other side reads in its CONNECTION_CLOSE. */
static void expect_refusal(const struct setup *s, struct side *by, unsigned alert)
{
	handshake(s);
	assert_true(by->closed);
	assert_false(by->completed);
	assert_true(by->peer->got_close);
	assert_int_equal(by->peer->got.type, NGTCP2_CCERR_TYPE_TRANSPORT);
	assert_int_equal(by->peer->got.error_code, ALERT(alert));
	assert_int_equal(server.got_bytes, 0);
}

static void expect_bad_certificate(const struct setup *s, struct side *by, unsigned alert,
				   const char *text)
{
	expect_refusal(s, by, alert);
	assert_non_null(by->link.guard.verify_failure);
	assert_string_equal(by->link.guard.verify_text, text);
	end();
}

static void test_success(void **state)
{
	static const uint8_t address6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

	(void)state;
	expect_success(&(struct setup){0});
	assert_string_equal(server_saw_name, NAME);
	end();
	/* A name may end in a dot, which neither SNI nor certificate has. */
	expect_success(&(struct setup){.sni = NAME ".", .verify_name = NAME "."});
	assert_string_equal(server_saw_name, NAME);
	end();
	expect_success(
		&(struct setup){.sni = "", .verify_address = address4, .verify_address_len = 4});
	assert_string_equal(server_saw_name, "");
	end();
	expect_success(&(struct setup){.server_cert = "server6.pem",
				       .server_key = "server6.key",
				       .verify_address = address6,
				       .verify_address_len = 16});
	end();
	/* Numeric names are addresses, and never SNI. */
	expect_success(&(struct setup){.sni = "192.0.2.1", .verify_name = "192.0.2.1"});
	assert_string_equal(server_saw_name, "");
	end();
	expect_success(&(struct setup){.verify_name = "::ffff:192.0.2.1"});
	end();
	expect_success(&(struct setup){.server_cert = "chain.pem", .server_key = "chain.key"});
	end();
}

static void test_server_certificate(void **state)
{
	static const uint8_t stranger[4] = {192, 0, 2, 77};

	(void)state;
	expect_bad_certificate(&(struct setup){.ca = "other-ca.pem"}, &client, 48,
			       "certificate of the peer: not signed by a trusted CA");
	expect_bad_certificate(
		&(struct setup){.server_cert = "other.pem", .server_key = "other.key"}, &client, 48,
		"certificate of the peer: not signed by a trusted CA");
	expect_bad_certificate(&(struct setup){.verify_name = "web.example.com"}, &client, 42,
			       "certificate of the peer: name does not match web.example.com");
	/* No name in it but the common name, which does not count for addresses. */
	expect_bad_certificate(&(struct setup){.verify_address = stranger, .verify_address_len = 4},
			       &client, 42,
			       "certificate of the peer: name does not match 192.0.2.77");
	expect_bad_certificate(&(struct setup){.server_cert = "server6.pem",
					       .server_key = "server6.key",
					       .verify_address = address4,
					       .verify_address_len = 4},
			       &client, 42,
			       "certificate of the peer: name does not match 192.0.2.1");
	expect_bad_certificate(
		&(struct setup){.server_cert = "expired.pem", .server_key = "expired.key"}, &client,
		45, "certificate of the peer: expired");
	expect_bad_certificate(
		&(struct setup){.server_cert = "early.pem", .server_key = "early.key"}, &client, 45,
		"certificate of the peer: not yet valid");
	expect_bad_certificate(
		&(struct setup){.server_cert = "client.pem", .server_key = "client.key"}, &client,
		43, "certificate of the peer: not made for this purpose");
	expect_bad_certificate(
		&(struct setup){.server_cert = "weak.pem", .server_key = "weak.key"}, &client, 42,
		"certificate of the peer: its key or signature algorithm is too weak");
}

static void test_client_certificate(void **state)
{
	struct setup s = {
		.client_ca = "ca.pem", .client_cert = "client.pem", .client_key = "client.key"};

	(void)state;
	expect_success(&s);
	end();
	/* One that was not asked for is not sent. */
	s.client_ca = NULL;
	expect_success(&s);
	end();
	s.client_ca = "other-ca.pem";
	expect_bad_certificate(&s, &server, 48,
			       "certificate of the peer: not signed by a trusted CA");
	s.client_ca = "ca.pem";
	s.client_cert = "foreigner.pem";
	s.client_key = "foreigner.key";
	expect_bad_certificate(&s, &server, 48,
			       "certificate of the peer: not signed by a trusted CA");
	s.client_cert = "server.pem";
	s.client_key = "server.key";
	expect_bad_certificate(&s, &server, 43,
			       "certificate of the peer: not made for this purpose");
	s.client_cert = NULL;
	s.client_key = NULL;
	expect_bad_certificate(&s, &server, 116, "certificate of the peer: none was sent");
}

static void test_alpn(void **state)
{
	(void)state;
	expect_success(&(struct setup){.client_alpn = "h3", .server_alpn = "h3"});
	end();
	expect_refusal(&(struct setup){.client_alpn = "h3"}, &server, 120);
	end();
	/* A prefix is not the same. */
	expect_refusal(&(struct setup){.client_alpn = "quic"}, &server, 120);
	end();
}

/* ALPN left out by the other side: the fault is to forget ours just before the guard looks. */
static int forget_alpn(struct side *side, ngtcp2_encryption_level level)
{
	(void)level;
	side->link.alpn_len = 0;
	return 0;
}

static void test_alpn_not_selected(void **state)
{
	(void)state;
	expect_refusal(&(struct setup){.client_fault = forget_alpn}, &client, 120);
	assert_string_equal(client.link.guard.refusal, "no ALPN in common");
	end();
}

static const uint8_t fake_secret[32] = {1, 2, 3};

static int again(struct side *side, gnutls_record_encryption_level_t level, uint8_t bit, bool rx,
		 bool tx)
{
	struct qs_tls_guard *guard = &side->link.guard;

	if ((rx && !(guard->rx_done & bit)) || (tx && !(guard->tx_done & bit)))
		return 0; /* not yet */
	side->fault_calls++;
	return qs_tls_guard_secret(side->link.session, level, rx ? fake_secret : NULL,
				   tx ? fake_secret : NULL, sizeof(fake_secret));
}

#define AGAIN(name, gnutls_level, level, rx, tx)                                                   \
	static int name(struct side *side, ngtcp2_encryption_level now)                            \
	{                                                                                          \
		(void)now;                                                                         \
		return again(side, gnutls_level, 1u << (level), rx, tx);                           \
	}
AGAIN(again_handshake, GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE, true,
      true)
AGAIN(again_handshake_rx, GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE, NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE,
      true, false)
AGAIN(again_app_tx, GNUTLS_ENCRYPTION_LEVEL_APPLICATION, NGTCP2_ENCRYPTION_LEVEL_1RTT, false, true)
AGAIN(again_app, GNUTLS_ENCRYPTION_LEVEL_APPLICATION, NGTCP2_ENCRYPTION_LEVEL_1RTT, true, true)

static void test_guard_second_key(void **state)
{
	static const struct setup setups[] = {
		{.client_fault = again_handshake}, {.client_fault = again_handshake_rx},
		{.client_fault = again_app_tx},	   {.client_fault = again_app},
		{.server_fault = again_handshake}, {.server_fault = again_handshake_rx},
		{.server_fault = again_app_tx},	   {.server_fault = again_app},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
		struct side *by = setups[i].client_fault ? &client : &server;

		handshake(&setups[i]);
		assert_int_equal(by->fault_calls, 1); /* refused for good */
		assert_true(by->closed);
		assert_true(by->peer->got_close);
		assert_int_equal(by->peer->got.error_code, ALERT(10));
		assert_string_equal(by->link.guard.refusal, "a second key for one level");
		end();
	}
}

static void test_guard_no_params(void **state)
{
	(void)state;
	expect_refusal(&(struct setup){.hide_from_client = true}, &client, 109);
	assert_string_equal(client.link.guard.refusal, "no transport parameters");
	assert_false(client.link.guard.got_peer_params);
	end();
	expect_refusal(&(struct setup){.hide_from_server = true}, &server, 109);
	assert_string_equal(server.link.guard.refusal, "no transport parameters");
	assert_int_equal(server.link.guard.rx_done | server.link.guard.tx_done, 0);
	end();
}

/* Parameters that a client remembered for 0-RTT are not this server's. */
static int show_old_params(struct side *side, ngtcp2_encryption_level level)
{
	static ngtcp2_transport_params old;

	(void)level;
	if (!side->fault_calls++) {
		pair_hide_params = side->conn;
		pair_shown_params = &old;
		side->link.guard.params_before = &old;
	}
	return 0;
}

static void test_guard_remembered_params(void **state)
{
	(void)state;
	expect_refusal(&(struct setup){.client_fault = show_old_params}, &client, 109);
	end();
}

static void test_guard_unverified(void **state)
{
	(void)state;
	expect_refusal(&(struct setup){.client_skips_verify = true}, &client, 42);
	assert_string_equal(client.link.guard.refusal,
			    "the certificate of the peer was not verified");
	end();
}

static int early_on_server(struct side *side, ngtcp2_encryption_level level)
{
	struct qs_tls_guard *guard = &side->link.guard;
	const uint8_t bit = 1u << NGTCP2_ENCRYPTION_LEVEL_0RTT;

	(void)level;
	if (side->fault_calls++)
		return 0;
	/* Held back while there is no 1-RTT send key; we have it, so take that back. */
	guard->tx_done &= (uint8_t) ~(1u << NGTCP2_ENCRYPTION_LEVEL_1RTT);
	assert_int_equal(qs_tls_guard_secret(side->link.session, GNUTLS_ENCRYPTION_LEVEL_EARLY,
					     fake_secret, NULL, sizeof(fake_secret)),
			 0);
	assert_int_equal(guard->early_secret_len, sizeof(fake_secret));
	assert_int_equal(guard->rx_done & bit, 0);
	return qs_tls_guard_secret(side->link.session, GNUTLS_ENCRYPTION_LEVEL_EARLY, fake_secret,
				   NULL, sizeof(fake_secret));
}

static int early_on_client(struct side *side, ngtcp2_encryption_level level)
{
	(void)level;
	side->link.guard.tx_done |= 1u << NGTCP2_ENCRYPTION_LEVEL_0RTT;
	return qs_tls_guard_secret(side->link.session, GNUTLS_ENCRYPTION_LEVEL_EARLY, NULL,
				   fake_secret, sizeof(fake_secret));
}

static int unknown_level(struct side *side, ngtcp2_encryption_level level)
{
	(void)level;
	return qs_tls_guard_secret(side->link.session, (gnutls_record_encryption_level_t)77,
				   fake_secret, NULL, sizeof(fake_secret));
}

static void test_guard_early(void **state)
{
	(void)state;
	handshake(&(struct setup){.server_fault = early_on_server});
	assert_true(client.got_close);
	assert_int_equal(client.got.error_code, ALERT(10));
	assert_string_equal(server.link.guard.refusal, "a second early key");
	end();
	expect_success(&(struct setup){.client_fault = early_on_client});
	end();
	expect_refusal(&(struct setup){.client_fault = unknown_level}, &client, 80);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_server_certificate),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_alpn_not_selected),
		cmocka_unit_test(test_guard_second_key),
		cmocka_unit_test(test_guard_no_params),
		cmocka_unit_test(test_guard_remembered_params),
		cmocka_unit_test(test_guard_unverified),
		cmocka_unit_test(test_guard_early),
	};

	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
