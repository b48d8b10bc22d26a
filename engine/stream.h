/* SPDX-License-Identifier: MIT */
/* One TCP connection of an app: bytes between its AF_UNIX end and a QUIC stream. */
#ifndef QS_STREAM_H
#define QS_STREAM_H

#include "engine.h"

#include <ngtcp2/ngtcp2.h>

/* Bytes on their way. Big ones are pooled. */
struct qs_chunk {
	struct qs_chunk *next;
	uint32_t cap, start, end; /* data[start..end) is valid */
	uint8_t data[];
};
#define QS_CHUNK_BIG 65536u

struct qs_stream {
	struct qs_source source; /* the engine's end; fd -1 when closed */
	struct qs_grave grave;
	struct qs_engine *engine;
	struct qs_conn *conn; /* NULL once the QUIC stream is closed */
	struct qs_relay
		*relay; /* mode prefer: TCP instead of a QUIC stream; NULL once it has ended */
	enum qs_reason reason; /* why it is TCP */
	int64_t id;
	TAILQ_ENTRY(qs_stream)
	conn_link, ready_link, readable_link, flush_link, backlog_link, held_link;
	bool in_ready, in_readable, in_flush, in_backlog;

	uint32_t slot;
	uint16_t generation;
	int32_t pid;
	uint32_t rule_line;
	bool server;
	struct qs_listener *listener; /* server, while in the backlog list */
	bool held; /* server: the app gets nothing yet (hold.h) */
	bool was_reset; /* the kernel has said ECONNRESET of the app's end */
	bool accepted; /* server: the app has it for certain; false = not known */
	uint64_t opened_ns, backlog_until_ns, held_until_ns, orphan_ns;
	uint64_t progress_ns; /* since when nothing of the app's was acknowledged */

	/* From the app to the peer. Offsets count stream bytes. */
	struct qs_chunk *tx_head, *tx_tail; /* from the first unacknowledged byte */
	struct qs_chunk *tx_cursor; /* where the next byte for ngtcp2 is */
	uint32_t tx_cursor_at;
	uint64_t tx_taken, tx_written, tx_acked;
	uint32_t skip; /* octets of the connect header that are still to be read and dropped */
	bool announce; /* an empty STREAM frame is due */
	bool announced_again;
	bool readable; /* the kernel may have more from the app */
	bool filler; /* a byte with a descriptor may come (a connect that waits; an accept that was held) */
	bool reread; /* a short read was no sign of an empty queue */
	bool filler_due; /* it will come, unless the wait was interrupted */
	bool app_eof; /* the app sends no more: FIN after tx_taken */
	bool fin_written;
	bool end_seen; /* the kernel told of the app's end: read on until it comes */
	bool app_gone; /* the app has closed its end */
	bool reset_due; /* once the peer has acknowledged all */
	bool keeps; /* client: all since the first byte is in tx_head, acknowledged or not */
	bool moving; /* to another connection: it is to leave its own (id >= 0), or to open (-1) */
	uint8_t moves; /* so far */
	uint64_t kept; /* acknowledged, while it keeps */
	bool tx_blocked; /* no stream credit; extend_max_stream_data wakes it */

	/* From the peer to the app. */
	struct qs_chunk *rx_head, *rx_tail;
	uint64_t rx_bytes; /* waiting here */
	uint64_t rx_owed; /* credit held back by the connection's ceiling */
	bool rx_fin, rx_fin_given, want_out;
	bool app_full; /* the app's buffer had no room, and EPOLLOUT has not come yet */
	bool app_deaf; /* the app shut down reading: discard, credit goes on */
	bool rest; /* the stream has failed, and the app has been told; it may still read what had come before */
};

/* Takes `fd` (the engine's end, non-blocking). The slot must be taken. NULL if out of memory (fd
 * and slot stay the caller's). */
struct qs_stream *qs_stream_new(struct qs_engine *engine, int fd, uint32_t slot, bool server);
/* Begins to watch the app's end. */
int qs_stream_start(struct qs_stream *stream);
/* Ties it to a QUIC stream; the addresses are what the app would see on TCP. */
void qs_stream_attach(struct qs_stream *stream, struct qs_conn *conn, int64_t id,
		      const struct qs_addr *local, const struct qs_addr *peer);

/* It is open now: tells the slot. `path` is where its figures are. */
void qs_stream_tell_open(struct qs_stream *stream, uint32_t path, const struct qs_addr *local,
			 const struct qs_addr *peer);

/* Turn phases, called by the loop. */
void qs_stream_pull(struct qs_stream *stream); /* read what the app wrote */
void qs_stream_push(struct qs_stream *stream); /* give the app what the peer sent */
void qs_stream_push_later(struct qs_stream *stream);

/* From ngtcp2's callbacks; they defer what may not be done there. */
void qs_stream_received(struct qs_stream *stream, const uint8_t *data, size_t len, bool fin);
/* The server refused it with QS_APP_MOVED: false if it can't be opened anew. Done later. */
bool qs_stream_moved(struct qs_stream *stream);
/* What an app that has long been connected may be told where `error` is that of the new connection. */
int qs_stream_moved_errno(const struct qs_stream *stream, int error);
/* Within qs_stream_acked: true if it keeps what was acknowledged. */
bool qs_stream_keeps(struct qs_stream *stream, uint64_t acked);
/* The first byte, or the end, has come from the server: nothing needs to be kept. */
void qs_stream_answered(struct qs_stream *stream);
void qs_stream_acked(struct qs_stream *stream, uint64_t end);
void qs_stream_closed(struct qs_stream *stream); /* QUIC stream is closed: conn becomes NULL */

/* What is there to write: fills up to `cap` vectors, no more once they hold `enough` octets; *fin
 * tells whether the end follows them. Returns the number of vectors. */
size_t qs_stream_unsent(struct qs_stream *stream, ngtcp2_vec *vec, size_t cap, size_t enough,
			bool *fin);
bool qs_stream_wants_write(const struct qs_stream *stream);
void qs_stream_wrote(struct qs_stream *stream, size_t bytes, bool fin);

/* Ends both directions towards the app with this errno (0 = in order); resets the QUIC stream with
 * `code` if it is still open. */
void qs_stream_fail(struct qs_stream *stream, int error, uint64_t code);

/* Once a second. */
void qs_stream_sweep(struct qs_stream *stream);

struct qs_chunk *qs_chunk_new(struct qs_engine *engine, size_t cap);
void qs_chunk_free(struct qs_engine *engine, struct qs_chunk *chunk);

#endif
