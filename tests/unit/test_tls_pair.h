/* SPDX-License-Identifier: MIT */
/* A client and a server in memory for test_tls.c: ngtcp2 without sockets, with a clock of our own. */
#ifndef QS_TEST_TLS_PAIR_H
#define QS_TEST_TLS_PAIR_H

#include "tls_parts.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <string.h>

#define PACKET_MAX 1452
#define MESSAGE "hello"

struct side {
	struct qs_tls_user user; /* first: see qs_tls_recv_crypto_data() */
	struct qs_tls_link link;
	ngtcp2_conn *conn;
	struct side *peer;
	bool completed;
	bool closed; /* has sent or read a CONNECTION_CLOSE */
	ngtcp2_ccerr got; /* what the peer's said, if `got_close` */
	bool got_close;
	size_t got_bytes; /* of MESSAGE */
	int (*fault)(struct side *side, ngtcp2_encryption_level level);
	int fault_calls;
};

static ngtcp2_tstamp pair_now;
static uint64_t pair_seed;
static struct sockaddr_in pair_address[2];

/* Whose transport parameters are to look as if they had not come, and what is shown instead. */
static ngtcp2_conn *pair_hide_params;
static const ngtcp2_transport_params *pair_shown_params;

/* The test's own, before the library's: the fault "no parameters" without a peer that makes it. */
__attribute__((visibility("default"))) const ngtcp2_transport_params *
ngtcp2_conn_get_remote_transport_params(ngtcp2_conn *conn)
{
	static const ngtcp2_transport_params *(*real)(ngtcp2_conn *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "ngtcp2_conn_get_remote_transport_params");
	return conn == pair_hide_params ? pair_shown_params : real(conn);
}

static void pair_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	while (len--) {
		pair_seed ^= pair_seed << 13;
		pair_seed ^= pair_seed >> 7;
		pair_seed ^= pair_seed << 17;
		*dest++ = (uint8_t)pair_seed;
	}
}

static int pair_new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
	(void)conn;
	(void)user;
	pair_rand(cid->data, len, NULL);
	cid->datalen = len;
	pair_rand(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);
	return 0;
}

static int pair_recv_crypto(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
			    const uint8_t *data, size_t len, void *user)
{
	struct side *side = user;
	int rv = qs_tls_recv_crypto_data(conn, level, offset, data, len, user);

	if (rv != 0 || !side->fault || side->fault(side, level) == 0)
		return rv;
	/* Refused: the next call into TLS must say so. */
	return qs_tls_recv_crypto_data(conn, level, offset + len, NULL, 0, user);
}

static int pair_completed(ngtcp2_conn *conn, void *user)
{
	(void)conn;
	((struct side *)user)->completed = true;
	return 0;
}

static int pair_recv_stream(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t offset,
			    const uint8_t *data, size_t len, void *user, void *stream_user)
{
	struct side *side = user;

	(void)conn;
	(void)flags;
	(void)stream;
	(void)offset;
	(void)stream_user;
	if (len == strlen(MESSAGE) && memcmp(data, MESSAGE, len) == 0)
		side->got_bytes += len;
	return 0;
}

static const ngtcp2_callbacks pair_callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = pair_recv_crypto,
	.handshake_completed = pair_completed,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.recv_stream_data = pair_recv_stream,
	.rand = pair_rand,
	.get_new_connection_id = pair_new_cid,
	.update_key = ngtcp2_crypto_update_key_cb,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

static ngtcp2_conn *pair_get_conn(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct side *)ref->user_data)->conn;
}

static void pair_side_init(struct side *side, struct side *peer)
{
	memset(side, 0, sizeof(*side));
	side->peer = peer;
	side->user.link = &side->link;
	side->link.ref.get_conn = pair_get_conn;
	side->link.ref.user_data = side;
}

static ngtcp2_path pair_path(bool server)
{
	ngtcp2_path path = {
		.local = {(ngtcp2_sockaddr *)&pair_address[server], sizeof(pair_address[0])},
		.remote = {(ngtcp2_sockaddr *)&pair_address[!server], sizeof(pair_address[0])}};

	return path;
}

static void pair_settings(ngtcp2_settings *settings, ngtcp2_transport_params *params)
{
	ngtcp2_settings_default(settings);
	settings->initial_ts = pair_now;
	ngtcp2_transport_params_default(params);
	params->initial_max_data = 65536;
	params->initial_max_stream_data_bidi_remote = 65536;
	params->initial_max_streams_bidi = 4;
}

/* The connection for a client whose link is set up. */
static int pair_client_start(struct side *client)
{
	ngtcp2_path path = pair_path(false);
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	ngtcp2_cid dcid, scid;
	int rv;

	pair_seed = 0x9e3779b97f4a7c15u;
	pair_now = NGTCP2_SECONDS;
	for (unsigned i = 0; i < 2; i++) {
		pair_address[i].sin_family = AF_INET;
		pair_address[i].sin_port = htons((uint16_t)(4433 + i));
		pair_address[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
	dcid.datalen = scid.datalen = 16;
	pair_rand(dcid.data, dcid.datalen, NULL);
	pair_rand(scid.data, scid.datalen, NULL);
	pair_settings(&settings, &params);
	rv = ngtcp2_conn_client_new(&client->conn, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
				    &pair_callbacks, &settings, &params, NULL, client);
	if (rv == 0)
		ngtcp2_conn_set_tls_native_handle(client->conn, client->link.session);
	return rv;
}

/* The connection for a server whose link is set up, out of the client's first packet. */
static int pair_server_start(struct side *server, const uint8_t *packet, size_t len)
{
	ngtcp2_path path = pair_path(true);
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	ngtcp2_pkt_hd header;
	ngtcp2_cid scid = {.datalen = 16};
	int rv = ngtcp2_accept(&header, packet, len);

	if (rv != 0)
		return rv;
	pair_rand(scid.data, scid.datalen, NULL);
	pair_settings(&settings, &params);
	params.original_dcid = header.dcid;
	params.original_dcid_present = 1;
	rv = ngtcp2_conn_server_new(&server->conn, &header.scid, &scid, &path, header.version,
				    &pair_callbacks, &settings, &params, NULL, server);
	if (rv == 0)
		ngtcp2_conn_set_tls_native_handle(server->conn, server->link.session);
	return rv;
}

/* `to` reads a packet; if it refuses it, its close goes back to the sender. */
static void pair_deliver(struct side *to, const uint8_t *packet, size_t len)
{
	bool server = to->link.guard.server;
	ngtcp2_path path = pair_path(server);
	ngtcp2_pkt_info pi = {0};
	uint8_t answer[PACKET_MAX];
	ngtcp2_ccerr error;
	ngtcp2_ssize n;
	int rv = 0;

	if (server && !to->conn)
		rv = pair_server_start(to, packet, len);
	if (rv == 0)
		rv = ngtcp2_conn_read_pkt(to->conn, &path, &pi, packet, len, pair_now);
	if (rv == 0 || to->closed)
		return;
	to->closed = true;
	if (rv == NGTCP2_ERR_DRAINING) {
		to->got = *ngtcp2_conn_get_ccerr(to->conn);
		to->got_close = true;
		return;
	}
	if (rv == NGTCP2_ERR_CRYPTO)
		ngtcp2_ccerr_set_tls_alert(&error, ngtcp2_conn_get_tls_alert(to->conn), NULL, 0);
	else
		ngtcp2_ccerr_set_liberr(&error, rv, NULL, 0);
	n = ngtcp2_conn_write_connection_close(to->conn, &path, &pi, answer, sizeof(answer), &error,
					       pair_now);
	if (n > 0)
		pair_deliver(to->peer, answer, (size_t)n);
}

/* Carries packets between the two until neither has more to say; the client sends MESSAGE. */
static void pair_run(struct side *client, struct side *server)
{
	struct side *sides[2] = {client, server};
	int64_t stream = -1;
	bool sent = false, moved = true;

	for (int round = 0; moved && round < 100; round++) {
		moved = false;
		for (int i = 0; i < 2; i++) {
			struct side *from = sides[i];
			ngtcp2_path_storage path;
			ngtcp2_pkt_info pi;
			uint8_t packet[PACKET_MAX];
			ngtcp2_vec message = {(uint8_t *)(uintptr_t)MESSAGE, strlen(MESSAGE)};
			ngtcp2_ssize n, taken = -1;
			bool with = i == 0 && from->completed && !sent;

			if (!from->conn || from->closed)
				continue;
			if (with && stream < 0 &&
			    ngtcp2_conn_open_bidi_stream(from->conn, &stream, NULL) != 0)
				with = false;
			ngtcp2_path_storage_zero(&path);
			n = ngtcp2_conn_writev_stream(
				from->conn, &path.path, &pi, packet, sizeof(packet), &taken,
				NGTCP2_WRITE_STREAM_FLAG_NONE, with ? stream : -1,
				with ? &message : NULL, with ? 1 : 0, pair_now);
			sent = sent || taken > 0;
			pair_now += NGTCP2_MILLISECONDS;
			if (n <= 0)
				continue;
			moved = true;
			pair_deliver(from->peer, packet, (size_t)n);
		}
	}
}

static void pair_side_fini(struct side *side)
{
	ngtcp2_conn_del(side->conn);
	qs_tls_fini(&side->link);
}

#endif
