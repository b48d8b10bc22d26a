/* SPDX-License-Identifier: MIT */
/* Clients' connections follow this host's addresses and routes. */

/*
 * Theory. A routing socket rings when an address, a link or a route changes; what it says is not
 * read, since the answer that counts is the kernel's own: which source address would it use now
 * (qs_udp_route)? A *round* asks that for each client connection, and moves those for which it
 * has changed:
 *	- the old address still is there: the new path is validated first, and the connection goes
 *	  on where it is until then;
 *	- it is gone: the connection moves at once, and the validation follows; so it does when nothing
 *	  has come for SILENCE_NS though something should: ngtcp2 sends no challenge while the congestion
 *	  window of a dead path is full, and nor does the peer answer one;
 *	- the peer forbids migration, or gives us no fresh connection ID: the address is changed in
 *	  place, which looks to the peer like a NAT's doing, but only if the old one is gone.
 * A path that fails its validation brings another round, later each time; if it is the one that the
 * connection is on, the other addresses of this host are tried in turn.
 * News come in bursts, and each move takes a connection ID, of which a peer gives us a handful: a
 * round waits SETTLE_NS after the first news, and INTERVAL_NS after the round before. Until
 * then the socket is not listened to; its small buffer may overflow, for one message says as much
 * as a thousand.
 * Connections whose app has chosen its source address stay there. Before the handshake is confirmed
 * nothing may move: the round for those follows then.
 * At a fork (outlive.c) the copy has the socket; the original does not look at it any more.
 */
#include "migrate.h"

#include "conn_parts.h"
#include "listen.h"
#include "log.h"
#include "will.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SETTLE_NS (50 * QS_MSEC)
#define INTERVAL_NS QS_NSEC
#define SILENCE_NS (500 * QS_MSEC) /* and three probe timeouts */
#define BACKOFF_MAX 5u /* doublings of the interval after failed validations */
#define DRAIN_MAX 1024

struct qs_migrate {
	struct qs_source news;
	struct qs_timer timer;
	struct qs_engine *engine;
	uint64_t due_ns; /* of the next round; 0 = none is */
	uint64_t last_ns; /* the last round was */
};

/* Where a connection to one peer would come from: most connections ask the same. */
struct answer {
	struct sockaddr_storage remote, local;
	uint32_t mark;
	const char *device;
	int rv;
};

static void schedule(struct qs_migrate *migrate, uint64_t at_ns)
{
	if (migrate->last_ns != 0 && at_ns < migrate->last_ns + INTERVAL_NS)
		at_ns = migrate->last_ns + INTERVAL_NS;
	if (migrate->due_ns != 0 && migrate->due_ns <= at_ns)
		return;
	if (qs_timer_set(&migrate->engine->timers, &migrate->timer, at_ns) == 0)
		migrate->due_ns = at_ns;
}

/* --- one connection --- */

static socklen_t address_len(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
}

/* Address and port; scope and flow say nothing here. */
static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct qs_addr x, y;

	return qs_addr_from_sockaddr(&x, (const struct sockaddr *)a, sizeof(*a)) == 0 &&
	       qs_addr_from_sockaddr(&y, (const struct sockaddr *)b, sizeof(*b)) == 0 &&
	       memcmp(&x, &y, sizeof(x)) == 0;
}

static bool is_any(const struct qs_addr *address)
{
	static const uint8_t none[16];

	return memcmp(address->ip, none, sizeof(none)) == 0;
}

static bool is_target(const struct qs_conn *conn, const struct sockaddr_storage *local)
{
	struct qs_addr address;

	return qs_addr_from_sockaddr(&address, (const struct sockaddr *)local, sizeof(*local)) ==
		       0 &&
	       memcmp(&address, &conn->path_target, sizeof(address)) == 0;
}

static bool may_move(const struct qs_conn *conn)
{
	return !conn->server && conn->rule->migration && is_any(&conn->key.source) &&
	       !conn->poisoned && !conn->buried && conn->state != QS_CONNECTION_CLOSING;
}

static int route(const struct qs_conn *conn, const struct sockaddr_storage *remote,
		 const struct sockaddr_storage *source, struct sockaddr_storage *local)
{
	struct qs_udp_options options = {.device = conn->endpoint->device,
					 .mark = conn->endpoint->mark};
	int rv = qs_udp_route((const struct sockaddr *)remote, (const struct sockaddr *)source,
			      &options, local, NULL);

	if (rv == 0)
		set_port(local, conn->endpoint->udp.port);
	return rv;
}

/* It is there already: packets with the old address would not go out. */
static void has_moved(struct qs_conn *conn, const struct sockaddr_storage *local)
{
	qs_addr_from_sockaddr(&conn->local, (const struct sockaddr *)local, address_len(local));
	conn->path_changes++;
	qs_will_renew(conn);
	free(conn->pending);
	conn->pending = NULL;
	qs_conn_dirty(conn);
}

static void move_in_place(struct qs_conn *conn, struct sockaddr_storage *local)
{
	ngtcp2_addr address = {(ngtcp2_sockaddr *)local, address_len(local)};

	ngtcp2_conn_set_local_addr(conn->quic, &address);
	conn->ping = true;
	has_moved(conn, local);
}

/* Within a trap. */
static void move(struct qs_conn *conn, struct sockaddr_storage *local,
		 struct sockaddr_storage *remote, bool gone)
{
	ngtcp2_path path =
		qs_conn_make_path(local, address_len(local), remote, address_len(remote));
	uint64_t now = conn->engine->now_ns;
	int rv = gone ? ngtcp2_conn_initiate_immediate_migration(conn->quic, &path, now)
		      : ngtcp2_conn_initiate_migration(conn->quic, &path, now);

	if (rv == 0)
		qs_addr_from_sockaddr(&conn->path_target, (const struct sockaddr *)local,
				      address_len(local));
	if (rv == 0 && gone)
		has_moved(conn, local);
	else if (rv != 0 && gone)
		move_in_place(conn, local);
	else if (rv == NGTCP2_ERR_CONN_ID_BLOCKED)
		conn->path_stale = true;
	qs_log("connection %llu: %s%s", (unsigned long long)conn->id,
	       gone ? "its path is gone, it moves to another"
		    : "another path is better, it is validated",
	       rv != 0 ? ": not possible as a migration" : "");
	qs_conn_dirty(conn);
}

/* The n-th other address of this host from which the peer can be reached. */
static bool other_address(const struct qs_conn *conn, const struct sockaddr_storage *remote,
			  const struct sockaddr_storage *current, unsigned n,
			  struct sockaddr_storage *out)
{
	struct ifaddrs *all, *one;
	unsigned found = 0;

	if (getifaddrs(&all) < 0)
		return false;
	/* The second time around counts on where the first one stopped. */
	for (int turn = 0; turn < 2 && found <= n; turn++) {
		if (turn == 1 && found == 0)
			break;
		for (one = all; one != NULL && found <= n; one = one->ifa_next) {
			struct sockaddr_storage source = {0}, local;

			if (one->ifa_addr == NULL ||
			    one->ifa_addr->sa_family != remote->ss_family ||
			    !(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK))
				continue;
			memcpy(&source, one->ifa_addr,
			       remote->ss_family == AF_INET ? sizeof(struct sockaddr_in)
							    : sizeof(struct sockaddr_in6));
			set_port(&source, conn->endpoint->udp.port);
			if (same_address(&source, current) ||
			    route(conn, remote, &source, &local) < 0)
				continue;
			*out = local;
			found++;
		}
	}
	freeifaddrs(all);
	return found > n;
}

static const struct answer *ask(const struct qs_conn *conn, const struct sockaddr_storage *remote,
				struct answer *last)
{
	if (!same_address(&last->remote, remote) || last->mark != conn->endpoint->mark ||
	    last->device == NULL || strcmp(last->device, conn->endpoint->device) != 0) {
		last->remote = *remote;
		last->mark = conn->endpoint->mark;
		last->device = conn->endpoint->device;
		last->rv = route(conn, remote, NULL, &last->local);
	}
	return last;
}

static bool is_silent(const struct qs_conn *conn)
{
	uint64_t limit = 3 * ngtcp2_conn_get_pto(conn->quic);
	ngtcp2_conn_info info;

	ngtcp2_conn_get_conn_info(conn->quic, &info);
	return info.bytes_in_flight > 0 &&
	       conn->engine->now_ns - conn->heard_ns >= (limit > SILENCE_NS ? limit : SILENCE_NS);
}

static void follow(struct qs_conn *conn, struct answer *last)
{
	struct sockaddr_storage current = {0}, remote = {0}, local, unused;
	const ngtcp2_path *path = ngtcp2_conn_get_path(conn->quic);
	const struct answer *answer;
	bool gone;

	if (!conn->confirmed) {
		conn->path_stale = true;
		return;
	}
	conn->path_stale = false;
	memcpy(&current, path->local.addr, path->local.addrlen);
	memcpy(&remote, path->remote.addr, path->remote.addrlen);
	answer = ask(conn, &remote, last);
	if (answer->rv < 0)
		return; /* no way there: the next news, or the idle timeout */
	local = answer->local;
	set_port(&local, conn->endpoint->udp.port);
	gone = route(conn, &remote, &current, &unused) < 0 || is_silent(conn);
	if (!gone && is_target(conn, &local))
		return; /* being validated: to begin again would only waste an ID */
	/* The kernel's choice, unless that is where nothing gets through: then the others in turn. */
	if (conn->path_lost) {
		if (!other_address(conn, &remote, &current, conn->path_failures, &local))
			return;
	} else if (same_address(&local, &current)) {
		return;
	}
	QS_GUARDED(conn, move(conn, &local, &remote, gone));
}

/* --- rounds --- */

static void run_round(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_migrate *migrate = qs_container(timer, struct qs_migrate, timer);
	struct qs_engine *engine = migrate->engine;
	struct answer last = {.remote.ss_family = AF_UNSPEC};
	struct qs_conn *conn, *next;
	bool again = false;
	uint8_t octet;

	for (int i = 0; i < DRAIN_MAX && recv(migrate->news.fd, &octet, 1, MSG_DONTWAIT) >= 0; i++)
		;
	qs_source_modify(engine, &migrate->news, EPOLLIN);
	migrate->due_ns = 0;
	migrate->last_ns = now_ns;
	TAILQ_FOREACH_SAFE(conn, &engine->conns, link_all, next)
	{
		if (!may_move(conn))
			continue;
		follow(conn, &last);
		again = again || (conn->path_stale && conn->confirmed) ||
			conn->path_target.family != 0;
	}
	if (again)
		schedule(migrate, now_ns + INTERVAL_NS);
}

static void news_event(struct qs_source *source, uint32_t events)
{
	struct qs_migrate *migrate = qs_container(source, struct qs_migrate, news);

	(void)events;
	qs_source_modify(migrate->engine, source, 0);
	schedule(migrate, migrate->engine->now_ns + SETTLE_NS);
}

static int open_news(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
				      .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
						   RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
						   RTMGRP_IPV6_ROUTE};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE),
	    one = 1, small = 4096;

	if (fd < 0)
		return -1;
	/* An overflow is no error: epoll would report it again and again. */
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void qs_migrate_watch(struct qs_conn *conn)
{
	struct qs_engine *engine = conn->engine;
	struct qs_migrate *migrate;

	if (engine->migrate != NULL || !may_move(conn))
		return;
	migrate = calloc(1, sizeof(*migrate));
	if (migrate == NULL)
		return;
	migrate->engine = engine;
	migrate->timer.fn = run_round;
	migrate->news = (struct qs_source){.fd = open_news(), .fn = news_event};
	engine->migrate = migrate;
	if (migrate->news.fd < 0 || qs_source_add(engine, &migrate->news, EPOLLIN) < 0)
		qs_log("no news of the network can be had: connections stay where they are");
}

void qs_migrate_close(struct qs_engine *engine)
{
	struct qs_migrate *migrate = engine->migrate;

	if (migrate == NULL)
		return;
	engine->migrate = NULL;
	qs_timer_clear(&engine->timers, &migrate->timer);
	if (migrate->news.fd >= 0)
		qs_source_close(engine, &migrate->news);
	free(migrate);
}

/* --- what ngtcp2 tells --- */

void qs_migrate_confirmed(struct qs_conn *conn)
{
	conn->confirmed = true;
	if (conn->path_stale && conn->engine->migrate != NULL)
		schedule(conn->engine->migrate, conn->engine->now_ns);
}

void qs_migrate_validated(struct qs_conn *conn, const ngtcp2_path *path,
			  ngtcp2_path_validation_result result)
{
	struct qs_addr local, peer;
	unsigned shift;

	memset(&conn->path_target, 0, sizeof(conn->path_target));
	if (result == NGTCP2_PATH_VALIDATION_RESULT_ABORTED ||
	    qs_addr_from_sockaddr(&local, (const struct sockaddr *)path->local.addr,
				  path->local.addrlen) < 0 ||
	    qs_addr_from_sockaddr(&peer, (const struct sockaddr *)path->remote.addr,
				  path->remote.addrlen) < 0)
		return;
	if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
		conn->path_failures = 0;
		conn->path_lost = false;
		conn->path_changes += memcmp(&local, &conn->local, sizeof(local)) != 0 ||
				      memcmp(&peer, &conn->peer, sizeof(peer)) != 0;
		return;
	}
	if (conn->engine->migrate == NULL || !may_move(conn))
		return;
	qs_log("connection %llu: a path could not be validated", (unsigned long long)conn->id);
	shift = conn->path_failures < BACKOFF_MAX ? conn->path_failures : BACKOFF_MAX;
	conn->path_failures++;
	conn->path_lost = memcmp(&local, &conn->local, sizeof(local)) == 0;
	schedule(conn->engine->migrate, conn->engine->now_ns + (INTERVAL_NS << shift));
}
