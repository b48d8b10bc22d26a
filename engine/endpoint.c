/* SPDX-License-Identifier: MIT */
/* UDP endpoints: datagrams in to their connections, trains out. */

/*
 * Theory. A server endpoint is bound to what the app's TCP socket was bound to (or to the rule's
 * endpoint) and is shared by the listeners of that address; a client endpoint is shared by all
 * connections of one source address, mark and device. Each segment of a train is looked up by its
 * DCID, since a train of GRO may hold packets of several connections; runs of segments of one
 * connection are read in one go.
 */
#include "listen.h"

#include "cid.h"
#include "conn.h"
#include "log.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCHES_A_TURN 4
#define RESETS_A_SECOND 100u

/*
 * A packet for a connection of ours that is no more: its peer is told by a stateless reset (RFC
 * 9000, 10.3). Only for IDs that this engine gave out, smaller than what came, and at most
 * RESETS_A_SECOND, so that it can neither amplify nor loop.
 */
static void reset_stateless(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
			    const ngtcp2_version_cid *vc, size_t len)
{
	struct qs_engine *engine = endpoint->engine;
	uint8_t packet[64], token[NGTCP2_STATELESS_RESET_TOKENLEN], noise[24];
	struct qs_udp_train answer = *train;
	const uint8_t *secret = engine->reset_secret;
	struct qs_cid_fields fields;
	char text[512];
	ngtcp2_ssize n;
	ngtcp2_cid cid;

	if (len <= sizeof(noise) + sizeof(token) + 1 ||
	    qs_cid_decode(vc->dcid, vc->dcidlen, &fields) < 0)
		return;
	if (endpoint->server)
		secret = qs_tls_creds_reset_secret(qs_engine_creds(engine, endpoint->rule, text));
	else if (fields.generation != engine->generation)
		return;
	if (engine->now_ns - engine->resets_since_ns > QS_NSEC) {
		engine->resets_since_ns = engine->now_ns;
		engine->n_resets = 0;
	}
	if (engine->n_resets++ >= RESETS_A_SECOND)
		return;
	ngtcp2_cid_init(&cid, vc->dcid, vc->dcidlen);
	if (ngtcp2_crypto_generate_stateless_reset_token(token, secret, QS_TLS_RESET_SECRET,
							 &cid) != 0 ||
	    gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof(noise)) != 0)
		return;
	n = ngtcp2_pkt_write_stateless_reset(packet, sizeof(packet), token, noise, sizeof(noise));
	if (n <= 0)
		return;
	answer.data = packet;
	answer.len = answer.segment = (size_t)n;
	answer.ecn = 0;
	qs_udp_send(&endpoint->udp, &answer);
}

/* The connection of one packet, a new one for a first Initial; NULL = nobody's. */
static struct qs_conn *find_owner(struct qs_endpoint *endpoint, const struct qs_udp_train *train,
				  const uint8_t *packet, size_t len)
{
	ngtcp2_version_cid vc;
	struct qs_conn *conn;
	uint8_t buf[256];
	ngtcp2_ssize n;
	int rv = ngtcp2_pkt_decode_version_cid(&vc, packet, len, QS_CID_LEN);

	if (rv == 0) {
		conn = qs_conn_find(endpoint->engine, vc.dcid, vc.dcidlen);
		if (conn == NULL && endpoint->server && vc.version != 0)
			conn = qs_conn_accept(endpoint, train, packet, len);
		else if (conn == NULL && vc.version == 0)
			reset_stateless(endpoint, train, &vc, len);
		return conn;
	}
	if (rv == NGTCP2_ERR_VERSION_NEGOTIATION && endpoint->server && len >= 1200) {
		static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
		struct qs_udp_train answer = *train;

		n = ngtcp2_pkt_write_version_negotiation(buf, sizeof(buf), 0x5a, vc.scid,
							 vc.scidlen, vc.dcid, vc.dcidlen, versions,
							 2);
		if (n > 0) {
			answer.data = buf;
			answer.len = answer.segment = (size_t)n;
			answer.ecn = 0;
			qs_udp_send(&endpoint->udp, &answer);
		}
	}
	return NULL;
}

/* Short header packets of one connection mostly come in a row: the first octets tell without a
 * look-up. */
static bool same_dcid(const uint8_t *a, const uint8_t *b, size_t len)
{
	return len > 1 + QS_CID_LEN && !(a[0] & 0x80) && !(b[0] & 0x80) &&
	       memcmp(a + 1, b + 1, QS_CID_LEN) == 0;
}

static void dispatch(struct qs_endpoint *endpoint, struct qs_udp_train *train)
{
	for (size_t at = 0; at < train->len;) {
		uint8_t *first = train->data + at;
		size_t n = train->len - at < train->segment ? train->len - at : train->segment,
		       run = n;
		struct qs_conn *conn = find_owner(endpoint, train, first, n);

		while (at + run < train->len) {
			size_t left = train->len - at - run;

			n = left < train->segment ? left : train->segment;
			if (!same_dcid(first, first + run, n))
				break;
			run += n;
		}
		if (conn != NULL)
			qs_conn_receive(conn, train, first, run);
		else
			endpoint->udp.dropped_datagrams++;
		at += run;
	}
}

/* A connection that is opening and whose first flight met a closed port. The quoted packet must be
 * ours. */
static void refused(struct qs_endpoint *endpoint, const struct sockaddr_storage *remote, int error,
		    const uint8_t *quoted, size_t len)
{
	struct qs_addr addr;
	struct qs_conn *conn;

	if (qs_addr_from_sockaddr(&addr, (const struct sockaddr *)remote, sizeof(*remote)) < 0)
		return;
	TAILQ_FOREACH(conn, &endpoint->engine->conns, link_all)
	{
		const ngtcp2_cid *dcid;

		if (conn->server || conn->endpoint != endpoint ||
		    conn->state != QS_CONNECTION_HANDSHAKE || conn->poisoned ||
		    memcmp(&conn->peer, &addr, sizeof(addr)) != 0)
			continue;
		dcid = ngtcp2_conn_get_client_initial_dcid(conn->quic);
		if (len < 6 + dcid->datalen || quoted[5] != dcid->datalen ||
		    memcmp(quoted + 6, dcid->data, dcid->datalen) != 0)
			continue;
		conn->engine->totals.connections_failed++;
		qs_conn_drop(conn, error);
		return;
	}
}

static void read_errors(struct qs_endpoint *endpoint)
{
	struct sockaddr_storage remote;
	uint8_t quoted[64];
	size_t len;
	int error;

	while (qs_udp_error(&endpoint->udp, &remote, &error, quoted, sizeof(quoted), &len) == 1) {
		if (!endpoint->server &&
		    (error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH))
			refused(endpoint, &remote, error, quoted, len);
	}
}

static void drain_pending(struct qs_endpoint *endpoint)
{
	struct qs_conn *conn;

	TAILQ_FOREACH(conn, &endpoint->engine->conns, link_all)
	{
		struct qs_udp_train *train = conn->pending;

		if (conn->endpoint != endpoint || train == NULL)
			continue;
		conn->pending = NULL;
		if (!qs_endpoint_send(endpoint, conn, train)) {
			free(train);
			return;
		}
		free(train);
		qs_conn_dirty(conn);
	}
	endpoint->want_out = false;
	qs_source_modify(endpoint->engine, &endpoint->source, EPOLLIN);
}

static void endpoint_event(struct qs_source *source, uint32_t events)
{
	struct qs_endpoint *endpoint = qs_container(source, struct qs_endpoint, source);
	struct qs_engine *engine = endpoint->engine;

	if (events & EPOLLERR)
		read_errors(endpoint);
	if (events & EPOLLOUT)
		drain_pending(endpoint);
	for (int i = 0; i < BATCHES_A_TURN && source->fd >= 0; i++) {
		int n = qs_udp_receive(&endpoint->udp, &engine->batch);

		if (n <= 0)
			break;
		for (unsigned k = 0; k < (unsigned)n; k++)
			dispatch(endpoint, &engine->batch.trains[k]);
		if (n < (int)QS_UDP_BATCH)
			break;
	}
}

bool qs_endpoint_send(struct qs_endpoint *endpoint, struct qs_conn *conn,
		      const struct qs_udp_train *train)
{
	ssize_t n = qs_udp_send(&endpoint->udp, train);
	size_t left;

	if (n < 0) {
		qs_log("connection %llu: sending failed: %s", (unsigned long long)conn->id,
		       strerrorname_np((int)-n));
		return true; /* lost, as on any path: timeouts judge it */
	}
	left = train->len - (size_t)n;
	if (left == 0)
		return true;
	conn->pending = malloc(sizeof(*conn->pending) + left);
	if (conn->pending != NULL) {
		*conn->pending = *train;
		conn->pending->data = (uint8_t *)(conn->pending + 1);
		conn->pending->len = left;
		memcpy(conn->pending->data, train->data + n, left);
	}
	if (!endpoint->want_out) {
		endpoint->want_out = true;
		qs_source_modify(endpoint->engine, &endpoint->source, EPOLLIN | EPOLLOUT);
	}
	return false;
}

static int endpoint_open(struct qs_engine *engine, const struct qs_addr *address,
			 const struct qs_udp_options *options, bool server,
			 struct qs_endpoint **out)
{
	struct qs_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	struct sockaddr_storage sa;
	int rv;

	if (endpoint == NULL)
		return -ENOMEM;
	qs_addr_to_sockaddr(address, address->family, &sa);
	rv = qs_udp_open(&endpoint->udp, (struct sockaddr *)&sa, options);
	if (rv < 0) {
		free(endpoint);
		return rv;
	}
	endpoint->engine = engine;
	endpoint->server = server;
	endpoint->lock_fd = -1;
	endpoint->address = *address;
	endpoint->mark = options->mark;
	snprintf(endpoint->device, sizeof(endpoint->device), "%s",
		 options->device ? options->device : "");
	endpoint->source = (struct qs_source){.fd = endpoint->udp.fd, .fn = endpoint_event};
	rv = qs_source_add(engine, &endpoint->source, EPOLLIN);
	if (rv < 0) {
		qs_udp_close(&endpoint->udp);
		free(endpoint);
		return rv;
	}
	TAILQ_INSERT_TAIL(&engine->endpoints, endpoint, link);
	*out = endpoint;
	return 0;
}

/*
 * The kernel gives bind() to port 0 an odd TCP port while it has one, and a mapped listener wants
 * the UDP port of the same number: a client's UDP port should be an even one.
 */
static int client_open(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_udp_options *options, struct qs_endpoint **out)
{
	int rv = -EADDRINUSE;

	for (int i = 0; i < 8; i++) {
		rv = endpoint_open(engine, address, options, false, out);
		if (rv < 0 || i == 7 || (*out)->udp.port % 2 == 0)
			break;
		qs_endpoint_release(*out);
	}
	return rv;
}

int qs_endpoint_client(struct qs_engine *engine, int family, const struct qs_addr *source,
		       uint32_t mark, const char *device, struct qs_endpoint **out)
{
	struct qs_udp_options options = {.mark = mark, .device = device};
	struct qs_addr address = *source;
	struct qs_endpoint *endpoint;

	if (address.family == 0)
		address = (struct qs_addr){.family = (uint16_t)family};
	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		if (!endpoint->server &&
		    memcmp(&endpoint->address, &address, sizeof(address)) == 0 &&
		    endpoint->mark == mark && strcmp(endpoint->device, device) == 0) {
			*out = endpoint;
			return 0;
		}
	}
	return client_open(engine, &address, &options, out);
}

/*
 * Server sockets have SO_REUSEPORT, so that a restarted server can bind while sockets of old connections live (see
 * qs_endpoint_retire). So the kernel would let two engines share an address and split its datagrams: an abstract name
 * (as UDP addresses, one a network namespace) is what only one can have. Returns the descriptor or -errno.
 */
static int lock_address(const struct qs_addr *address)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n, rv;

	if (fd < 0)
		return -errno;
	n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "quicshim/udp/%u/",
		     address->port);
	for (size_t i = 0; i < (address->family == AF_INET ? 4u : 16u); i++)
		n += snprintf(name.sun_path + 1 + n, sizeof(name.sun_path) - 1 - (size_t)n, "%02x",
			      address->ip[i]);
	if (bind(fd, (struct sockaddr *)&name,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0)
		return fd;
	rv = -errno;
	close(fd);
	return rv;
}

int qs_endpoint_server(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_rule *rule, struct qs_endpoint **out)
{
	struct qs_udp_options options = {.reuseport = true};
	struct qs_endpoint *endpoint;
	int rv, lock;

	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		if (endpoint->server && endpoint->lock_fd >= 0 &&
		    memcmp(&endpoint->address, address, sizeof(*address)) == 0) {
			/* Several listening sockets of one program (SO_REUSEPORT) share it; another
			 * rule can't. */
			if (endpoint->rule != rule)
				return -EADDRINUSE;
			*out = endpoint;
			return 0;
		}
	}
	lock = lock_address(address);
	if (lock < 0)
		return lock;
	rv = endpoint_open(engine, address, &options, true, out);
	if (rv < 0) {
		close(lock);
		return rv;
	}
	(*out)->rule = rule;
	(*out)->lock_fd = lock;
	return 0;
}

static void move_to_own_socket(struct qs_conn *conn)
{
	struct qs_udp_options options = {.reuseport = true};
	struct qs_endpoint *old = conn->endpoint, *own;
	struct sockaddr_storage peer;
	socklen_t len = qs_addr_to_sockaddr(&conn->peer, conn->peer.family, &peer);

	if (endpoint_open(conn->engine, &conn->local, &options, true, &own) < 0)
		return;
	own->rule = old->rule;
	if (connect(own->udp.fd, (struct sockaddr *)&peer, len) < 0) {
		qs_endpoint_release(own);
		return;
	}
	conn->endpoint = own;
	own->n_conns = 1;
	old->n_conns--;
	if (conn->pending != NULL) {
		own->want_out = true;
		qs_source_modify(conn->engine, &own->source, EPOLLIN | EPOLLOUT);
	}
}

void qs_endpoint_retire(struct qs_endpoint *endpoint)
{
	struct qs_conn *conn, *next;

	for (conn = TAILQ_FIRST(&endpoint->engine->conns); conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, link_all);
		if (conn->endpoint != endpoint)
			continue;
		if (conn->n_streams > 0 && conn->state != QS_CONNECTION_CLOSING) {
			move_to_own_socket(conn);
			continue;
		}
		qs_conn_close_idle(conn);
		qs_conn_drop(conn, 0);
	}
}

static void endpoint_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_endpoint, grave));
}

void qs_endpoint_release(struct qs_endpoint *endpoint)
{
	struct qs_engine *engine = endpoint->engine;

	if (endpoint->n_listeners > 0 || endpoint->n_conns > 0 || endpoint->source.fd < 0)
		return;
	engine->totals.datagrams_sent += endpoint->udp.sent_datagrams;
	engine->totals.datagrams_received += endpoint->udp.received_datagrams;
	engine->totals.datagrams_dropped += endpoint->udp.dropped_datagrams;
	TAILQ_REMOVE(&engine->endpoints, endpoint, link);
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, endpoint->source.fd, NULL);
	endpoint->source.fd = -1;
	if (endpoint->lock_fd >= 0)
		close(endpoint->lock_fd);
	qs_udp_close(&endpoint->udp);
	qs_engine_bury(engine, &endpoint->grave, endpoint_grave);
}
