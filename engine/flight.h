/* SPDX-License-Identifier: MIT */
/* First flights of clients, until it is known who serves them, and where decided ones went. */
#ifndef QS_FLIGHT_H
#define QS_FLIGHT_H

#include "sniff.h"
#include "udp.h"

#define QS_FLIGHT_MAX 1024u /* undecided flights */
#define QS_FLIGHT_SOURCE_MAX 64u /* of them from one IPv4 address or one IPv6 /64 */
#define QS_FLIGHT_RETRY_AT 256u /* from so many on, ops->admit is asked */
#define QS_FLIGHT_OCTETS_MAX (24u * 1024u) /* of the datagrams of one, 0-RTT at most a half of it */
#define QS_FLIGHT_TOTAL_MAX (QS_FLIGHT_MAX * 16u * 1024u) /* of all, hellos counted too */
#define QS_FLIGHT_ROUTES_MAX 16384u /* remembered decisions */
#define QS_FLIGHT_UNDECIDED_NS (5 * 1000000000ull) /* after its first datagram one is forgotten */
#define QS_FLIGHT_ROUTE_NS (30 * 1000000000ull) /* after its last use a decision is forgotten */

/* Where a flight goes. Any other number is a sibling, which the caller names. */
#define QS_FLIGHT_NOBODY 0u
#define QS_FLIGHT_HERE 1u

enum qs_flight_result {
	QS_FLIGHT_NOISE, /* nothing in it is authentic, or belongs to a flight: drop and count it */
	QS_FLIGHT_HELD, /* copied, until more comes */
	QS_FLIGHT_PASSED, /* handed on, perhaps with others that were held */
	QS_FLIGHT_REFUSED, /* a bound was reached, the address was not admitted, or nobody wants it */
};

/* Called from within qs_flight_feed only. They may not call into the table. */
struct qs_flight_ops {
	/* Asked once a flight. sniff->verdict is DECIDED; or BROKEN or NO_ROOM: then only IDs and version
	 * are known. `first` is a datagram that it came with. */
	uint64_t (*decide)(void *context, const struct qs_udp_train *first,
			   const struct qs_sniff *sniff);
	/* Takes one datagram (train->len is train->segment). Order: the one that holds the ClientHello's
	 * first octet, the other Initials as they came, 0-RTT. Never called with NOBODY. */
	void (*pass)(void *context, uint64_t where, const struct qs_udp_train *train);
	/* Whether state may be made for this client while many flights are undecided: its address is
	 * validated by the token in this Initial. If not, it is for the callee to send a Retry. */
	bool (*admit)(void *context, const struct qs_udp_train *train);
};

struct qs_flight_counts {
	uint64_t noise, held, passed, refused; /* datagrams, by the result of their feeding */
	uint64_t decided, expired, evicted; /* flights */
	unsigned n_undecided, n_routes; /* now */
	size_t octets; /* now, of undecided ones */
};

/* One UDP address's. Single thread, no I/O, no clock of its own. */
struct qs_flight_table;

/* `ops` must live as long. NULL if there is no memory. */
struct qs_flight_table *qs_flight_table_new(const struct qs_flight_ops *ops, void *context);
/* Drops what is held. NULL is allowed. */
void qs_flight_table_free(struct qs_flight_table *table);

/* One datagram with a long header, whose DCID is no connection's. Its bytes are not changed, and
 * copied if they are held. `now_ns` never goes back. */
enum qs_flight_result qs_flight_feed(struct qs_flight_table *table,
				     const struct qs_udp_train *train, uint64_t now_ns);
/* Forgets what is old. Once a second is often enough. */
void qs_flight_sweep(struct qs_flight_table *table, uint64_t now_ns);
/* A sibling is gone: what comes for its flights is decided anew. */
void qs_flight_forget(struct qs_flight_table *table, uint64_t where);
const struct qs_flight_counts *qs_flight_counts(const struct qs_flight_table *table);

#endif
