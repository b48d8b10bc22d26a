/* SPDX-License-Identifier: MIT */
/* Mode prefer: QUIC with a head start, then a race against TCP. Engine thread only. */
#ifndef QS_RACE_H
#define QS_RACE_H

#include "request.h"

/* Sends a request whose rule prefers QUIC on its way. Consumes it, or will. */
void qs_race_begin(struct qs_request *request);
/* It waits for request->conn now: the head start runs. */
void qs_race_wait(struct qs_request *request);
/* QUIC failed with this errno; request->conn is NULL. TCP goes on, or the request has failed. */
void qs_race_lost(struct qs_request *request, int error, enum qs_reason cause, const char *text);
/* The request is over: closes what is left of TCP. */
void qs_race_end(struct qs_request *request);

#endif
