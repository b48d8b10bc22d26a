/* SPDX-License-Identifier: MIT */
/* What the engines that share a UDP port say to each other: one message, its form and its check. */
#ifndef QS_HANDOFF_H
#define QS_HANDOFF_H

#include "serve.h"
#include "udp.h"

/*
 * Each message goes over a SOCK_SEQPACKET connection between two engines of one machine, in host
 * byte order: a head, then what its type says. The peers are authenticated once (group.h), and yet
 * whatever comes is checked here as if a stranger had sent it.
 */
#define QS_HANDOFF_MAGIC 0x51534831u /* "QSH", form 1 */

enum qs_handoff_type {
	QS_HANDOFF_HELLO = 1, /* struct qs_handoff_hello; the first message, once */
	QS_HANDOFF_SERVES, /* number = how many serves follow; they replace all earlier ones */
	QS_HANDOFF_SERVE, /* struct qs_serve: one of them */
	QS_HANDOFF_SYNC, /* "answer when you have read all that I said before": number */
	QS_HANDOFF_ACK, /* the same number */
	QS_HANDOFF_BOUND, /* the sender's socket is bound; since when, 64 bits */
	QS_HANDOFF_STEER, /* number = how many descriptors come along: see ladder.h */
	QS_HANDOFF_INDEX, /* a probe of the receiver's for the index `number` came; its nonce, 64 bits */
	QS_HANDOFF_CLASSIC, /* number = 1: the sender's classic program knows the receiver; 0: not any more */
	QS_HANDOFF_DOUBT, /* it may be wrong */
	QS_HANDOFF_PACKETS, /* a train whose connection ID names the receiver's slot */
	QS_HANDOFF_FLIGHT, /* a train of a first flight, for the serve of that number */
	QS_HANDOFF_ORPHAN, /* a packet whose ID nobody has: reset it if the token may be yours */
	QS_HANDOFF_N_TYPES,
};

struct qs_handoff_head {
	uint32_t magic;
	uint8_t type; /* enum qs_handoff_type */
	uint8_t ecn;
	uint16_t reserved;
	uint32_t segment; /* octets */
	uint32_t number;
	uint32_t ifindex;
	uint32_t unused;
	struct qs_addr local, remote; /* of a train; else zero */
};
_Static_assert(sizeof(struct qs_handoff_head) % 8 == 0, "what follows is aligned");

struct qs_handoff_hello {
	struct qs_addr endpoint; /* what the sender binds */
	uint16_t slot, generation;
	int32_t pid; /* of the engine */
	uint64_t secret; /* names the secret of its stateless resets, without telling it */
	uint8_t token_secret[32]; /* of its Retry tokens */
	char program[32];
};

#define QS_HANDOFF_MAX (sizeof(struct qs_handoff_head) + QS_UDP_TRAIN_MAX)

/* One that was received: points into it. */
struct qs_handoff {
	enum qs_handoff_type type;
	uint32_t number;
	const struct qs_handoff_hello *hello;
	const struct qs_serve *serve;
	uint64_t bound_ns; /* of BOUND */
	uint64_t nonce; /* of INDEX */
	struct qs_udp_train train; /* of PACKETS, FLIGHT, ORPHAN */
};

/* Fills a head without a train. */
void qs_handoff_head(struct qs_handoff_head *out, enum qs_handoff_type type, uint32_t number);
/* Fills a head for `train`, whose data goes behind it. 0 or -EAFNOSUPPORT. */
int qs_handoff_train(struct qs_handoff_head *out, enum qs_handoff_type type, uint32_t number,
		     const struct qs_udp_train *train);
/* Checks `len` octets, aligned as the head. 0 or -EPROTO: close the connection. */
int qs_handoff_parse(void *message, size_t len, struct qs_handoff *out);

#endif
