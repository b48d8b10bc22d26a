/* SPDX-License-Identifier: MIT */
/* Requests of apps: connects on the stream socket, and the control socket. Engine thread only. */
#ifndef QS_REQUEST_H
#define QS_REQUEST_H

#include "engine.h"

struct qs_conn_key;

/* A peer on one of our sockets that has not said all yet, or a connect that waits for its
 * connection. */
struct qs_request {
	struct qs_source source; /* the engine's end */
	struct qs_grave grave;
	struct qs_engine *engine;
	TAILQ_ENTRY(qs_request)
	link; /* in engine->requests, or in conn->waiting when `conn` is set */
	struct qs_conn *conn;
	int app_fd; /* a reference to the app's end; -1 */
	int32_t pid;
	bool stranger; /* another user's process: one that gave up root, or nobody we know */
	uint64_t since_ns;
	struct qs_connect_req *req;
	size_t said; /* octets of it that came */
	const struct qs_rule *rule;
	uint32_t slot;
	unsigned connections; /* opened for it so far */

	/* Mode prefer: race.c */
	struct qs_source tcp; /* the app's own TCP socket; -1 */
	struct qs_timer timer; /* the head start, then the grace after TCP failed */
	int wait_fd; /* where a blocking connect waits for the verdict; -1 */
	bool tcp_tried, tcp_up;
	int tcp_error; /* it failed with that; 0 */
	enum qs_reason cause; /* why QUIC is out of the race; NONE: it is not */
};

/* Handlers of the listening sockets. */
void qs_request_accept_stream(struct qs_source *source, uint32_t events);
void qs_request_accept_control(struct qs_source *source, uint32_t events);
/* The connection is up: gives the request its stream. Consumes the request. False if no stream
 * could be opened now. */
bool qs_request_complete(struct qs_request *request, struct qs_conn *conn);
/* Likewise with a connected TCP socket instead of a stream, which is taken; false and the request was
 * failed: it is not taken. */
bool qs_request_join(struct qs_request *request, int tcp_fd, enum qs_reason reason);
/* QUIC failed for it: the end, or TCP's turn. Must wait for no connection. Consumes it, or will. */
void qs_request_refuse(struct qs_request *request, int error, enum qs_reason cause,
		       const char *text);
/* It waits for no connection any more: back into the engine's list. */
void qs_request_leave(struct qs_request *request);
/* The connection that would serve it. False if its endpoint can't be used for the destination. */
bool qs_request_key(const struct qs_request *request, struct qs_conn_key *key);
/* It will take a while: options that the app sets meanwhile need the slot. */
void qs_request_mark(struct qs_request *request);
/* Its header is whole: finds its rule, and its way. */
void qs_request_decide(struct qs_request *request);
/* Out of its list, descriptors closed (unless taken), freed at the end of the turn. */
void qs_request_end(struct qs_request *request);
/* Ends the request with this errno and an optional line for the user. Consumes it. */
void qs_request_fail(struct qs_request *request, int error, const char *reason);
/* Looks for another connection (the one it waited for has no stream left). */
void qs_request_route(struct qs_request *request);
/* Once a second: ends requests that say nothing (request_read.c, like the two handlers). */
void qs_request_sweep(struct qs_engine *engine);

#endif
