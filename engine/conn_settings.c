/* SPDX-License-Identifier: MIT */
/* What a connection tells ngtcp2 and its peer: windows, timeouts, versions, path MTU probes. */
#include "conn_parts.h"

#include "cid.h"
#include "errmap.h"
#include "listen.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#define STREAM_WINDOW (512u * 1024u)
#define STREAM_WINDOW_MAX (16u * 1024u * 1024u)
#define CONN_WINDOW (16u * 1024u * 1024u)
#define CONN_WINDOW_MAX (64u * 1024u * 1024u)

/* Path MTU discovery tries the route's own MTU first, then the usual steps below it. */
static void set_probes(struct qs_conn *conn, ngtcp2_settings *settings, size_t mtu, bool v6)
{
	static const uint16_t steps[] = {32768, 16384, 8952, 4352, 1452, 1404, 1350};
	size_t overhead = v6 ? 48 : 28, top, n = 0;

	if (mtu < 1280)
		mtu = 1280;
	top = mtu - overhead;
	if (top > 65535 - overhead)
		top = 65535 - overhead;
	conn->probes[n++] = (uint16_t)top;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) &&
			   n < sizeof(conn->probes) / sizeof(conn->probes[0]);
	     i++) {
		if (steps[i] < top)
			conn->probes[n++] = steps[i];
	}
	settings->max_tx_udp_payload_size = top;
	settings->pmtud_probes = conn->probes;
	settings->pmtud_probeslen = n;
}

void qs_conn_settings(struct qs_conn *conn, ngtcp2_settings *settings, size_t mtu, bool v6)
{
	static const ngtcp2_cc_algo algo[] = {NGTCP2_CC_ALGO_CUBIC, NGTCP2_CC_ALGO_BBR,
					      NGTCP2_CC_ALGO_RENO};
	static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};

	ngtcp2_settings_default(settings);
	settings->initial_ts = conn->engine->now_ns;
	settings->cc_algo = algo[conn->rule->congestion];
	settings->handshake_timeout = conn->rule->handshake_timeout_ns;
	settings->max_window = CONN_WINDOW_MAX;
	settings->max_stream_window = STREAM_WINDOW_MAX;
	settings->available_versions = versions;
	settings->available_versionslen = 2;
	set_probes(conn, settings, mtu, v6);
}

void qs_conn_params(struct qs_conn *conn, ngtcp2_transport_params *params)
{
	ngtcp2_transport_params_default(params);
	params->initial_max_stream_data_bidi_local = STREAM_WINDOW;
	params->initial_max_stream_data_bidi_remote = STREAM_WINDOW;
	params->initial_max_data = CONN_WINDOW;
	params->initial_max_streams_bidi = conn->server ? QS_STREAMS_MAX : 0;
	params->max_idle_timeout = conn->rule->idle_timeout_ns;
	params->active_connection_id_limit = 7;
	params->grease_quic_bit = 1;
	params->disable_active_migration = conn->server && !conn->rule->migration;
}

ngtcp2_path qs_conn_make_path(struct sockaddr_storage *local, socklen_t local_len,
			      struct sockaddr_storage *remote, socklen_t remote_len)
{
	return (ngtcp2_path){
		.local = {.addr = (ngtcp2_sockaddr *)local, .addrlen = local_len},
		.remote = {.addr = (ngtcp2_sockaddr *)remote, .addrlen = remote_len},
	};
}
