/* SPDX-License-Identifier: MIT */
/* Requests of apps: connects on the stream socket, and the control socket. Engine thread only. */
#ifndef QS_REQUEST_H
#define QS_REQUEST_H

#include "engine.h"

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
	uint64_t since_ns;
	struct qs_connect_req *req;
	size_t said; /* octets of it that came */
	const struct qs_rule *rule;
	uint32_t slot;
	unsigned connections; /* opened for it so far */
};

/* Handlers of the listening sockets. */
void qs_request_accept_stream(struct qs_source *source, uint32_t events);
void qs_request_accept_control(struct qs_source *source, uint32_t events);
/* The connection is up: gives the request its stream. Consumes the request. False if no stream
 * could be opened now. */
bool qs_request_complete(struct qs_request *request, struct qs_conn *conn);
/* Ends the request with this errno and an optional line for the user. Consumes it. */
void qs_request_fail(struct qs_request *request, int error, const char *reason);
/* Looks for another connection (the one it waited for has no stream left). */
void qs_request_route(struct qs_request *request);
/* Once a second: ends requests that say nothing. */
void qs_request_sweep(struct qs_engine *engine);

#endif
