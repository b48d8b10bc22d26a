/* SPDX-License-Identifier: MIT */
/* What the files of the stream share: stream.c, stream_tx.c, stream_rx.c. */
#ifndef QS_STREAM_PARTS_H
#define QS_STREAM_PARTS_H

#include "conn.h"
#include "stream.h"

#define QS_CHUNK_SMALL (4096u - 64u)

static inline struct qs_slot *qs_stream_slot(const struct qs_stream *stream)
{
	return qs_pages_slot(&stream->engine->pages, stream->slot);
}

/* Something waits to be written to the peer. */
void qs_stream_ready(struct qs_stream *stream);
/* Reads from the app when the turn comes to that. */
void qs_stream_pull_later(struct qs_stream *stream);
/* The app wrote something that the peer has not acknowledged. */
bool qs_stream_has_unacked(const struct qs_stream *stream);
/* The app's end is gone before its time: what TCP would make of it. `reset`: the kernel has said ECONNRESET. */
void qs_stream_app_reset(struct qs_stream *stream, bool reset);
/* The stream has failed with `error`: what had come before stays the app's. False if nothing is left of it. */
bool qs_stream_leave_rest(struct qs_stream *stream, int error);
/* Closes the app's end; it will see this errno, unless another was told. */
void qs_stream_tell_app(struct qs_stream *stream, int error);
/* Writes the errno into the slot, unless another stands there. */
void qs_stream_tell_slot(struct qs_stream *stream, int error);
/* Frees it if nothing more can happen on either side. */
void qs_stream_settle(struct qs_stream *stream);
/* Frees all of a list. */
void qs_chunk_list_free(struct qs_engine *engine, struct qs_chunk **head, struct qs_chunk **tail);

#endif
