/* SPDX-License-Identifier: MIT */
/* UDP sockets of the engine: a server's, shared by its listeners; a client's. Engine thread only. */
#ifndef QS_ENDPOINT_H
#define QS_ENDPOINT_H

#include "cid_codec.h"
#include "engine.h"
#include "ladder.h"
#include "tls.h"
#include "token.h"

struct qs_member;
struct qs_flight_table;
struct qs_link;
struct qs_serve;

/* One UDP socket. A server's is shared by its listeners; a client's by connections of the same
 * source. */
struct qs_endpoint {
	struct qs_source source;
	struct qs_grave grave;
	struct qs_udp udp;
	struct qs_engine *engine;
	TAILQ_ENTRY(qs_endpoint) link;
	bool server, want_out;
	bool released; /* closes at the end of the turn */
	struct qs_addr address; /* as asked for */
	uint32_t mark;
	char device[16];
	unsigned n_listeners, n_conns;
	struct qs_cid_codec codec; /* of its connection IDs */

	/* server */
	int64_t owner; /* uid that the socket shall belong to; -1: the engine's */
	enum qs_steering steering; /* which rungs it may use */
	struct qs_ladder ladder;
	struct qs_member *member; /* among the engines that share its port */
	struct qs_flight_table *flights; /* undecided, or handed away; made on demand */
	struct qs_listener *chosen; /* by the decision that is being carried out */
	uint8_t token_secret[32]; /* of Retry tokens; siblings know it */
	uint8_t reset_secret[QS_TLS_RESET_SECRET]; /* follows from the first rule's private key */
	/* sent: stateless resets, CONNECTION_CLOSE to first flights */
	uint64_t n_resets, n_refused;
};

/* Finds or opens the client endpoint for a connection: that of the fewest connections, of `most` at the most. Several
 * of them have several ports, by which a server's kernel spreads them over its workers. 0 or -errno. */
int qs_endpoint_client(struct qs_engine *engine, int family, const struct qs_addr *source,
		       uint32_t mark, const char *device, unsigned most, struct qs_endpoint **out);
/*
 * Opens or shares the server endpoint, whose rule's credentials are loaded. Another engine may have
 * one of the same address: they make a group. 0; -EADDRINUSE with a line in `text` (size 512) that
 * says who is there, if that is known; -errno.
 */
int qs_endpoint_server(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_rule *rule, struct qs_endpoint **out, char *text);
/* What its listeners serve has changed: tells the group. 0, -ENOMEM, or -ENOSPC (too much). */
int qs_endpoint_publish(struct qs_endpoint *endpoint);
/*
 * Asks the group whether somebody serves what this listener does. 0, or -EADDRINUSE with a line in
 * `text`.
 */
int qs_endpoint_judge(struct qs_endpoint *endpoint, const struct qs_listener *listener, char *text);
/*
 * Listeners are gone: connections of their rules that have no stream end at once, or, where a sibling
 * serves the same, when clients have learnt that they must connect anew; the others keep the socket,
 * which drains: new flights go to siblings. Release follows.
 */
void qs_endpoint_retire(struct qs_endpoint *endpoint);
void qs_endpoint_release(struct qs_endpoint *endpoint); /* after n_listeners or n_conns went down */
/* Sends; keeps in conn->pending what the kernel has no room for. True if all went. */
bool qs_endpoint_send(struct qs_endpoint *endpoint, struct qs_conn *conn,
		      const struct qs_udp_train *train);
/* Whether one more may be sent in this second; counts it in *n, which is engine->n_resets,
 * ->n_refusals or ->n_hints. */
bool qs_endpoint_within_budget(struct qs_engine *engine, unsigned *n, unsigned most);
/* What the token of an Initial says about `remote`: and for RETRY the
 * client's first DCID. */
enum qs_token_kind qs_endpoint_token(struct qs_endpoint *endpoint, const ngtcp2_pkt_hd *hd,
				     const struct sockaddr *remote, ngtcp2_cid *odcid);
/* Once in a while: forgets what is old. */
void qs_endpoint_sweep(struct qs_endpoint *endpoint);
/* The socket's events. */
void qs_endpoint_event(struct qs_source *source, uint32_t events);
/* Reads what is there, and hands on what is not ours: before the socket closes. */
void qs_endpoint_drain(struct qs_endpoint *endpoint);

#endif
