/* SPDX-License-Identifier: MIT */
/* What the files of the endpoint share: endpoint.c and endpoint_*.c. */
#ifndef QS_ENDPOINT_PARTS_H
#define QS_ENDPOINT_PARTS_H

#include "endpoint.h"
#include "group.h"
#include "route.h"

#include <ngtcp2/ngtcp2.h>

struct qs_endpoint *qs_endpoint_new(struct qs_engine *engine, const struct qs_addr *address,
				    bool server);
/* One that is in no list, and has no socket. */
void qs_endpoint_free(struct qs_endpoint *endpoint);
/* Opens its socket and begins to listen to it. On failure it has none. 0 or -errno. */
int qs_endpoint_open(struct qs_endpoint *endpoint, const struct qs_udp_options *options);
/*
 * A datagram with a long header for none of our connections. Returns the listener of ours that
 * shall accept it now; NULL: it was held, handed on, refused, or dropped.
 */
struct qs_listener *qs_endpoint_first_flight(struct qs_endpoint *endpoint,
					     const struct qs_udp_train *train, uint32_t hash);
/* A datagram of a first flight for a listener of ours: makes the connection if there is none yet. */
void qs_endpoint_take_flight(struct qs_endpoint *endpoint, const struct qs_listener *listener,
			     const struct qs_udp_train *train);
/* CONNECTION_CLOSE to the first flight of a client with these IDs; so many a second. */
void qs_endpoint_refuse(struct qs_endpoint *endpoint, const struct qs_udp_train *to,
			uint32_t version, const ngtcp2_cid *scid, const ngtcp2_cid *dcid,
			uint64_t code);
void qs_endpoint_sweep_flights(struct qs_endpoint *endpoint);
uint32_t qs_endpoint_hash(const uint8_t *dcid, size_t len);

#endif
