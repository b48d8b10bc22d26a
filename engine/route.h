/* SPDX-License-Identifier: MIT */
/* Who serves a new connection: a listener of ours, a sibling, or nobody. Engine thread only. */
#ifndef QS_ROUTE_H
#define QS_ROUTE_H

#include "group.h"
#include "listen.h"

enum qs_route_kind {
	QS_ROUTE_LISTENER, /* ours */
	QS_ROUTE_LINK, /* a sibling's: `serve` is its number */
	QS_ROUTE_CLOSED, /* nobody listens here */
	QS_ROUTE_NO_PROTOCOL, /* none that the client offers is served */
	QS_ROUTE_NO_NAME, /* it is, but not under this name */
};

struct qs_route {
	enum qs_route_kind kind;
	struct qs_listener *listener;
	struct qs_link *link;
	uint32_t serve;
};

/* What an endpoint serves itself: at most `max` of them. Returns how many there are. */
unsigned qs_route_serves(const struct qs_endpoint *endpoint, struct qs_serve *out, unsigned max);

/*
 * True if all who listen for `local` serve one protocol under any name: then there is nothing to
 * find out about a client, and *out says who takes it. `hash` chooses among equals.
 */
bool qs_route_plain(struct qs_endpoint *endpoint, const struct qs_addr *local, uint32_t hash,
		    struct qs_route *out);

/*
 * Who takes a client that came to `local` (a real address), named `name` ("" = none) and offers
 * `alpn`. False: nobody, and out->kind says why. The pointers are good until the group changes.
 */
bool qs_route_find(struct qs_endpoint *endpoint, const struct qs_addr *local, const char *alpn,
		   const char *name, uint32_t hash, struct qs_route *out);

/*
 * Whether a sibling takes such a client too, or is about to listen and may. Listeners that are the socket with
 * this SO_COOKIE don't count; 0 = all do.
 */
bool qs_route_elsewhere(const struct qs_endpoint *endpoint, const struct qs_addr *local,
			const char *alpn, const char *name, uint64_t cookie);
/* The same of one sibling. */
bool qs_route_may(const struct qs_link *link, const struct qs_addr *local, const char *alpn,
		  const char *name, uint64_t cookie);

#endif
