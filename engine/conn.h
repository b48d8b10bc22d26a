/* SPDX-License-Identifier: MIT */
/* One QUIC connection on ngtcp2. Engine thread only. */
#ifndef QS_CONN_H
#define QS_CONN_H

#include "engine.h"
#include "hash.h"
#include "reset_token.h"
#include "tls.h"

#include <ngtcp2/ngtcp2.h>

/* One of our connection IDs, in engine->cids. */
struct qs_cid_entry {
	UT_hash_handle hh;
	uint8_t len;
	uint8_t data[NGTCP2_MAX_CIDLEN];
	bool retired; /* its late packets are nobody's, and yet no orphans */
	struct qs_conn *conn;
	struct qs_cid_entry *sibling;
};

/* What connections are shared by (client). */
struct qs_conn_key {
	struct qs_addr peer, source;
	uint32_t mark;
	char device[16];
	const struct qs_rule *rule;
	char name[QS_NAME_MAX]; /* verified, and SNI; "" = the address is verified */
};

struct qs_conn {
	struct qs_tls_user user; /* first: ngtcp2's user_data is this */
	struct qs_tls_link link;
	struct qs_engine *engine;
	struct qs_endpoint *endpoint;
	ngtcp2_conn *quic;
	struct qs_timer timer;
	struct qs_grave grave;
	TAILQ_ENTRY(qs_conn) link_all, link_dirty;
	bool dirty, server, open, handshake_done, poisoned, buried;
	bool refusing; /* client: its listener is gone or full; a new connection may find another */
	bool outrun; /* client: TCP was up first for one that waited: a failure is to be remembered */
	bool judged; /* its failure has been */
	enum qs_reason cause; /* why the handshake failed, where the errno does not say it */
	enum qs_connection_state state;
	uint64_t id, opened_ns, idle_since_ns, closing_until_ns;
	const struct qs_rule *rule;
	struct qs_conn_key key;
	struct qs_addr local, peer;
	uint64_t paths_since_ns;
	unsigned n_paths, n_strangers; /* hops, and trains from elsewhere, since then */
	char sni[256];
	/* where it is: migrate.c */
	uint64_t heard_ns; /* last packet */
	uint64_t path_changes;
	unsigned path_failures; /* validations in a row */
	bool confirmed; /* the handshake is: a client may migrate */
	bool path_stale; /* it could not be moved when it should have been */
	bool path_lost; /* where it is, nothing got through */
	struct qs_addr path_target; /* our address of the path being validated; 0 = none is */
	bool ping; /* the peer must hear from us now */
	struct qs_cid_entry *cids; /* the newest first */
	struct qs_reset_token *reset_tokens;
	unsigned n_retired;
	bool opening; /* counted in engine->n_opening and ->opening_from[source] */
	uint8_t source;
	const uint8_t *reset_secret; /* QS_TLS_RESET_SECRET octets; the engine's or the creds' */
	struct qs_request_list waiting; /* client: connects that want a stream here */
	unsigned n_waiting;
	bool moved; /* server: its listener is gone, and a sibling serves the same */
	unsigned n_moving; /* streams that leave it or wait for it: stream_moved.c */
	struct qs_stream_list streams, ready; /* ready: want to write */
	unsigned n_streams, keep_alive;
	uint64_t rx_buffered; /* waiting for slow apps, all streams */
	uint32_t path; /* index of the figures in the page */
	uint64_t figures_ns, losses_ns, sent_packets, received_packets, sent_bytes, received_bytes,
		streams_total;
	uint64_t lost_packets; /* of streams that are gone: qs_conn_lost() */
	size_t payload; /* octets of the path's largest packet, as of the last turn */
	uint16_t probes[8];
	uint64_t delivered, delivered_mark, delivered_ns,
		rate; /* acknowledged bytes and octets a second */
	/* A train the kernel had no room for. */
	struct qs_udp_train *pending;
	uint8_t *closing_packet;
	size_t closing_len;
	uint64_t closing_in, closing_out; /* octets, since it was sent first */
	uint32_t closing_heard; /* trains */
	struct qs_will_state will;
};

/* A client's connection: starts the handshake. 0 and *out, or -errno that the app shall see; `text`
 * (size 512) gets a line if the user must mend something. The first flight goes out when the turn
 * ends. */
int qs_conn_connect(struct qs_engine *engine, const struct qs_conn_key *key, struct qs_conn **out,
		    char *text);
/* A server's connection for this first Initial, under a rule that a listener of the endpoint has.
 * NULL if it is none, or there are too many, or the client must come again with a token. */
struct qs_conn *qs_conn_accept(struct qs_endpoint *endpoint, const struct qs_rule *rule,
			       const struct qs_udp_train *train, const uint8_t *packet, size_t len);

/* Asks a client, by its Initial without a token, to come again with one. */
void qs_conn_retry(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
		   const uint8_t *packet, size_t len);

struct qs_conn *qs_conn_find(struct qs_engine *engine, const uint8_t *cid, size_t len);
/* True if a living connection had this ID and has retired it. */
bool qs_conn_knew(struct qs_engine *engine, const uint8_t *cid, size_t len);
/* Its handshake is done, or it is gone: one that failed counts until then, since it costs as much. */
void qs_conn_not_opening(struct qs_conn *conn);
/* An open or opening client connection for the key with room for one more stream, or NULL. */
struct qs_conn *qs_conn_pool_find(struct qs_engine *engine, const struct qs_conn_key *key,
				  unsigned *n_same);

/* Reads `len` octets of packets in segments of train->segment, all for this connection. */
void qs_conn_receive(struct qs_conn *conn, const struct qs_udp_train *train, uint8_t *data,
		     size_t len);
/* Writes all that can be written and sets the timer. */
void qs_conn_write(struct qs_conn *conn);
void qs_conn_dirty(struct qs_conn *conn);
void qs_conn_stream_ready(struct qs_conn *conn, struct qs_stream *stream);

/* Closes with what `error` says, ends all streams and waiting requests with `app_error`. */
void qs_conn_close(struct qs_conn *conn, const ngtcp2_ccerr *error, int app_error);
/* In good order, with NO_ERROR; there must be no stream. */
void qs_conn_close_idle(struct qs_conn *conn);
/* Once a second: idle client connections go. */
void qs_conn_sweep(struct qs_conn *conn);
/* Ends it without a word on the wire; frees it at the end of the turn. */
void qs_conn_drop(struct qs_conn *conn, int app_error);
void qs_conn_figures(struct qs_conn *conn);
/* Packets with stream data that were held to be lost, so that what was in them was sent again. A search for each
 * stream. */
uint64_t qs_conn_lost(const struct qs_conn *conn);
void qs_conn_extend_stream(struct qs_conn *conn, int64_t id, uint64_t bytes);
/* Opens a stream for `stream`. 0; -EAGAIN if the peer allows none now; -ECONNREFUSED if the
 * connection ended over it. */
int qs_conn_open_stream(struct qs_conn *conn, struct qs_stream *stream, int64_t *id);
void qs_conn_shutdown_stream(struct qs_conn *conn, int64_t id, uint64_t code);

#endif
