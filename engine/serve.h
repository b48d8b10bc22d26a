/* SPDX-License-Identifier: MIT */
/* What listens at a UDP address: protocol, server name, address, and whom a first flight is for. */
#ifndef QS_SERVE_H
#define QS_SERVE_H

#include "control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QS_SERVE_ALPN 32
#define QS_SERVE_NAME 256

/* One protocol under one name (or any) of one listener of an app. Also a part of hand-off messages. */
struct qs_serve {
	uint32_t id; /* of the listener, unique in its engine */
	int32_t pid; /* of the app */
	struct qs_addr endpoint; /* the UDP address */
	struct qs_addr tcp; /* what the app listens on */
	uint64_t cookie; /* SO_COOKIE of the app's TCP socket */
	uint64_t since_ns; /* CLOCK_MONOTONIC: the elder one stays when two clash */
	uint16_t reuseport; /* the app's TCP socket has SO_REUSEPORT */
	uint16_t tentative; /* it asks whether it may be there: no flights yet */
	char alpn[QS_SERVE_ALPN];
	char name[QS_SERVE_NAME]; /* lower case; "*.example.com" for all below it; "" = any */
	char program[32];
};

/* True if every field may be used: strings end, families are known. What came in is hostile. */
bool qs_serve_valid(const struct qs_serve *serve);

/* True if datagrams to `local` (a real address) are for it. */
bool qs_serve_covers(const struct qs_serve *serve, const struct qs_addr *local);

/*
 * How well it fits a client that came to `local` (a real address) and named `name` ("" = none): 0 not at all,
 * else more is better. A listener of the address itself beats one of the wildcard, then the
 * longer name wins. The protocol is not looked at.
 */
unsigned qs_serve_fit(const struct qs_serve *serve, const struct qs_addr *local, const char *name);

/*
 * True if the two can't be there at once: the same protocol and name at the same UDP address. As on
 * TCP they may if both are listeners of one TCP address with SO_REUSEPORT, or one inherited socket.
 */
bool qs_serve_clash(const struct qs_serve *a, const struct qs_serve *b);

/* True if the address is 0.0.0.0 or ::. */
bool qs_addr_is_any(const struct qs_addr *addr);
/* True if both are of one family and port, and equal, or one of them is the wildcard. */
bool qs_addr_overlap(const struct qs_addr *a, const struct qs_addr *b);
bool qs_addr_equal(const struct qs_addr *a, const struct qs_addr *b);

#endif
