/* SPDX-License-Identifier: MIT */
/* A stream that is joined to a TCP socket instead of a QUIC connection. Engine thread only. */
#ifndef QS_RELAY_H
#define QS_RELAY_H

#include "engine.h"

struct qs_relay {
	struct qs_source source; /* the TCP socket */
	struct qs_grave grave;
	struct qs_stream *stream;
	TAILQ_ENTRY(qs_relay) link, ready_link;
	bool in_ready;
	bool readable; /* the kernel may have more from the peer */
	bool blocked; /* it has no room for the peer; EPOLLOUT tells */
	bool eof; /* the peer's FIN came */
	uint32_t path; /* index of the figures in the page */
	uint64_t figures_ns;
	struct qs_options applied; /* of the app's options, those that the socket has */
};

/* Joins the stream to a connected TCP socket, which it takes. `req` says what the app asked for, and
 * which options the socket has. 0, or -errno and nothing is taken. */
int qs_relay_new(struct qs_stream *stream, int tcp_fd, const struct qs_connect_req *req,
		 enum qs_reason reason);
/* Something may be written or read now: it is looked at before the turn ends. */
void qs_relay_ready(struct qs_relay *relay);
/* Turn phase: writes what apps wrote, reads where there is room again. */
void qs_relay_serve(struct qs_engine *engine);
/* Ends the TCP side, by RST if asked for. The stream has none then. */
void qs_relay_end(struct qs_relay *relay, bool reset);
/* Gives the kernel what it takes at once of what the app wrote. May end the relay. */
void qs_relay_flush(struct qs_relay *relay);
/* Once a second. */
void qs_relay_sweep(struct qs_engine *engine);

/* Brings the figures of its path up to date, at most every few milliseconds. */
void qs_relay_figures(struct qs_relay *relay);
/* Gives a TCP socket what has changed between two states of an app's options. */
void qs_relay_options(int tcp_fd, const struct qs_options *now, struct qs_options *applied);
/* Closes a TCP socket without ever waiting (SO_LINGER). */
void qs_relay_close_tcp(int tcp_fd, bool reset);

#endif
