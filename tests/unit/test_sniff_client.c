/* SPDX-License-Identifier: MIT */
/* First flights of a real client. */
#include "sniff_kit.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

static void client_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	gnutls_rnd(GNUTLS_RND_NONCE, dest, len);
}

static int client_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
	(void)conn;
	(void)user;
	client_rand(cid->data, len, NULL);
	cid->datalen = len;
	client_rand(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
	return 0;
}

static ngtcp2_conn *client_conn;

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
	(void)ref;
	return client_conn;
}

/* All that ngtcp2 sends before it hears anything; `padding` octets make the hello larger. */
static void real_client(uint32_t version, size_t padding, unsigned want_datagrams)
{
	static const ngtcp2_callbacks callbacks = {
		.client_initial = ngtcp2_crypto_client_initial_cb,
		.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
		.encrypt = ngtcp2_crypto_encrypt_cb,
		.decrypt = ngtcp2_crypto_decrypt_cb,
		.hp_mask = ngtcp2_crypto_hp_mask_cb,
		.recv_retry = ngtcp2_crypto_recv_retry_cb,
		.rand = client_rand,
		.get_new_connection_id = client_cid,
		.update_key = ngtcp2_crypto_update_key_cb,
		.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
		.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
		.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
		.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
	};
	struct sockaddr_in address = {.sin_family = AF_INET};
	ngtcp2_path path = {{(ngtcp2_sockaddr *)&address, sizeof(address)},
			    {(ngtcp2_sockaddr *)&address, sizeof(address)},
			    NULL};
	gnutls_datum_t protocol = {(unsigned char *)(uintptr_t) "smb", 3};
	gnutls_certificate_credentials_t cred;
	ngtcp2_crypto_conn_ref ref = {get_conn, NULL};
	ngtcp2_cid dcid = {.datalen = 18}, id = {.datalen = 8};
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	gnutls_session_t session;
	struct qs_sniff sniff;
	enum qs_sniff_verdict verdict = QS_SNIFF_MORE;
	unsigned n_datagrams = 0;

	ngtcp2_settings_default(&settings);
	ngtcp2_transport_params_default(&params);
	client_rand(dcid.data, dcid.datalen, NULL);
	client_rand(id.data, id.datalen, NULL);
	assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT), 0);
	gnutls_priority_set_direct(session, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
	gnutls_certificate_allocate_credentials(&cred);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, cred);
	assert_int_equal(ngtcp2_crypto_gnutls_configure_client_session(session), 0);
	gnutls_alpn_set_protocols(session, &protocol, 1, 0);
	gnutls_server_name_set(session, GNUTLS_NAME_DNS, "Files.Example.COM.", 18);
	if (padding > 0) {
		initial_padding_len = padding;
		assert_int_equal(gnutls_session_ext_register(
					 session, "padding", 0xffa0, GNUTLS_EXT_TLS,
					 initial_no_extension, initial_padding, NULL, NULL, NULL,
					 GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_TLS),
				 0);
	}
	assert_int_equal(ngtcp2_conn_client_new(&client_conn, &dcid, &id, &path, version,
						&callbacks, &settings, &params, NULL, &ref),
			 0);
	ngtcp2_conn_set_tls_native_handle(client_conn, session);
	gnutls_session_set_ptr(session, &ref);
	for (;;) {
		ngtcp2_ssize n = ngtcp2_conn_write_pkt(client_conn, NULL, NULL, datagram, 1200, 1);

		assert_true(n >= 0);
		if (n == 0)
			break;
		if (n_datagrams++ == 0)
			assert_int_equal(qs_sniff_init(&sniff, datagram, (size_t)n), 0);
		assert_int_equal(verdict, QS_SNIFF_MORE);
		verdict = qs_sniff_feed(&sniff, datagram, (size_t)n);
		assert_int_equal(sniff.first, n_datagrams == 1);
	}
	assert_int_equal(n_datagrams, want_datagrams);
	assert_int_equal(verdict, QS_SNIFF_DECIDED);
	assert_string_equal(sniff.sni, "files.example.com");
	assert_true(qs_sniff_offers(&sniff, "smb"));
	qs_sniff_fini(&sniff);
	ngtcp2_conn_del(client_conn);
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(cred);
}

static void a_real_client(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		real_client(versions[v], 0, 1);
		real_client(versions[v], 1300, 2);
		real_client(versions[v], 9000, 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
