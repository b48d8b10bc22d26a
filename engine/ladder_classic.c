/* SPDX-License-Identifier: MIT */
/* The rung of classic BPF: rounds in which the eldest member finds out where in the kernel's group all are. */

/*
 * Theory. A classic program returns an index into the kernel's array of the group's sockets (classic.h). Nobody is told
 * his own, and it changes when somebody leaves. So the eldest asks: in a *round* it sends a probe to each index, from its
 * own socket to its own address, and whoever gets one tells it so over the link, with the round's nonce. When all have
 * answered, or the next round is due, what was found becomes the program, and each member is told that it is known.
 *
 * Rounds begin when a member has bound or a link has ended, and are repeated at growing distances, since the kernel closes
 * a dead member's socket when it likes; further when a member sees packets that the program should have given to
 * another (*doubt*). Later rounds ask for more indices than there are members: sockets of programs that we do not
 * know may be in the group. An index that the array has not is the kernel's hash, whose choice answers too; hence of
 * several answers the lowest counts.
 *
 * Probes can be forged: they are answered within a budget, and an answer that names no round of ours is nothing.
 * Where a wildcard's own address can't be reached, since a sibling has bound ::1, say, the hash it is.
 *
 * Between a change and the end of a round the map may be wrong, and a datagram reaches the wrong member, which hands it
 * over as on the lowest rung: nothing depends on the map. A leaving member's socket is read to its end before it closes.
 */
#include "ladder.h"

#include "endpoint.h"
#include "group.h"
#include "group_parts.h"
#include "log.h"

#include <string.h>
#include <sys/random.h>

#define ROUND_NS (100 * QS_MSEC) /* to the second one; each distance is twice the one before */
#define ROUNDS 6u
#define RETRY_NS (10 * QS_NSEC) /* while somebody has never answered */
#define HINTS_A_SECOND 1000u /* of siblings' probes that came to us */
#define DOUBT_NS QS_NSEC /* at most one round, or one message, in this time */

static bool is_twin(const struct qs_endpoint *endpoint, const struct qs_link *link)
{
	return link->known && link->bound_ns != 0 &&
	       qs_addr_equal(&link->peer.endpoint, &endpoint->address);
}

/* Whether we are the one to attach a program. */
static bool is_keeper(const struct qs_endpoint *endpoint)
{
	const struct qs_link *link;
	unsigned twins = 0;

	if ((endpoint->steering != QS_STEERING_AUTO && endpoint->steering != QS_STEERING_CLASSIC) ||
	    endpoint->ladder.steer != NULL || endpoint->udp.fd < 0 ||
	    !qs_member_is_eldest(endpoint->member, NULL))
		return false;
	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (link->has_ebpf)
			return false;
		twins += is_twin(endpoint, link);
	}
	return twins > 0;
}

static void tell(struct qs_link *link, bool is_known)
{
	if (link->told_classic == is_known)
		return;
	link->told_classic = is_known;
	qs_link_say(link, QS_HANDOFF_CLASSIC, is_known, NULL, 0);
}

static void attach(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	int rv = qs_classic_attach(endpoint->udp.fd, &ladder->map);

	ladder->attached = rv == 0;
	if (rv < 0)
		qs_log("UDP port %u: no classic program: %s", endpoint->udp.port,
		       strerrorname_np(-rv));
}

static bool is_complete(const struct qs_endpoint *endpoint)
{
	const struct qs_ladder *ladder = &endpoint->ladder;
	const struct qs_link *link;

	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (is_twin(endpoint, link) && ladder->found[link->peer.slot] == QS_CLASSIC_NOWHERE)
			return false;
	}
	return ladder->found[endpoint->member->slot] != QS_CLASSIC_NOWHERE;
}

/* What was found takes effect. */
static void end_round(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	struct qs_link *link;

	ladder->nonce = 0;
	if (ladder->round == ROUNDS && is_complete(endpoint))
		ladder->round_ns = 0;
	memcpy(ladder->map.index, ladder->found, sizeof(ladder->map.index));
	attach(endpoint);
	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (is_twin(endpoint, link))
			tell(link, ladder->attached && ladder->map.index[link->peer.slot] !=
							       QS_CLASSIC_NOWHERE);
	}
}

/* Where a datagram reaches our group: all of 127/8 is this host, and a sibling may be bound to its first address. */
static struct qs_addr own_address(const struct qs_endpoint *endpoint)
{
	static const uint8_t loopback[] = {127, 81, 83, 72};
	struct qs_addr addr = endpoint->address;

	if (!qs_addr_is_any(&addr))
		return addr;
	if (addr.family == AF_INET)
		memcpy(addr.ip, loopback, sizeof(loopback));
	else
		addr.ip[sizeof(addr.ip) - 1] = 1;
	return addr;
}

static void send_probes(struct qs_endpoint *endpoint, unsigned n)
{
	uint8_t packet[QS_CLASSIC_PROBE_LEN];
	struct qs_udp_train train = {
		.data = packet, .len = sizeof(packet), .segment = sizeof(packet)};
	struct qs_addr to = own_address(endpoint);
	struct qs_classic_probe probe = {.slot = endpoint->member->slot,
					 .nonce = endpoint->ladder.nonce};

	train.remote_len = qs_addr_to_sockaddr(&to, to.family, &train.remote);
	for (unsigned i = 0; i < n; i++) {
		probe.index = (uint16_t)i;
		qs_classic_probe_write(packet, &probe);
		if (qs_udp_send(&endpoint->udp, &train) < 0)
			return;
	}
}

static void begin_round(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	const struct qs_link *link;
	unsigned n = 1 + ladder->round;

	if (getrandom(&ladder->nonce, sizeof(ladder->nonce), 0) < 0)
		return;
	if (!ladder->attached) {
		qs_classic_map_init(&ladder->map, endpoint->codec.host);
		attach(endpoint);
	}
	for (unsigned slot = 0; slot < QS_CLASSIC_SLOTS; slot++)
		ladder->found[slot] = QS_CLASSIC_NOWHERE;
	TAILQ_FOREACH(link, &endpoint->member->links, link)
	n += is_twin(endpoint, link);
	if (ladder->attached)
		send_probes(endpoint, n);
}

/* We are not the keeper, or not any more. */
static void rest(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	struct qs_link *link;

	ladder->nonce = ladder->round_ns = 0;
	ladder->attached = false;
	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		tell(link, false);
		if (ladder->doubt && link->is_keeper)
			qs_link_say(link, QS_HANDOFF_DOUBT, 0, NULL, 0);
	}
	ladder->doubt = false;
}

void qs_ladder_search_sweep(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	uint64_t now = endpoint->engine->now_ns;

	if (!is_keeper(endpoint)) {
		rest(endpoint);
		return;
	}
	if (ladder->doubt && ladder->round_ns == 0) {
		ladder->round_ns = now;
		ladder->round = ROUNDS - 1;
	}
	ladder->doubt = false;
	if (ladder->round_ns == 0 || now < ladder->round_ns)
		return;
	if (ladder->nonce != 0)
		end_round(endpoint);
	ladder->round_ns = now + (ladder->round < ROUNDS ? ROUND_NS << ladder->round : RETRY_NS);
	begin_round(endpoint);
	if (ladder->round < ROUNDS)
		ladder->round++;
}

void qs_ladder_search_later(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;

	ladder->round = 0;
	ladder->round_ns = endpoint->engine->now_ns;
	ladder->nonce = 0;
}

void qs_ladder_search(struct qs_endpoint *endpoint)
{
	qs_ladder_search_later(endpoint);
	qs_ladder_search_sweep(endpoint);
}

bool qs_ladder_probed(struct qs_endpoint *endpoint, const uint8_t *dcid, size_t len)
{
	struct qs_engine *engine = endpoint->engine;
	struct qs_classic_probe probe;
	struct qs_link *link;

	if (!qs_classic_probe_read(dcid, len, &probe))
		return false;
	if (probe.slot == endpoint->member->slot) {
		qs_ladder_found(endpoint, probe.slot, probe.index, probe.nonce);
		return true;
	}
	link = qs_member_link(endpoint->member, probe.slot);
	if (link != NULL && is_twin(endpoint, link) &&
	    qs_endpoint_within_budget(engine, &engine->n_hints, HINTS_A_SECOND))
		qs_link_hint(link, QS_HANDOFF_INDEX, probe.index, &probe.nonce,
			     sizeof(probe.nonce));
	return true;
}

void qs_ladder_found(struct qs_endpoint *endpoint, uint16_t slot, uint32_t index, uint64_t nonce)
{
	struct qs_ladder *ladder = &endpoint->ladder;

	if (ladder->nonce == 0 || nonce != ladder->nonce || index >= ladder->found[slot] ||
	    !is_keeper(endpoint))
		return;
	ladder->found[slot] = (uint16_t)index;
	if (is_complete(endpoint))
		end_round(endpoint);
}

void qs_ladder_doubt(struct qs_endpoint *endpoint, const struct qs_link *link)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	uint64_t now = endpoint->engine->now_ns;

	if ((link != NULL && (!is_twin(endpoint, link) || !qs_ladder_is_classic(endpoint))) ||
	    now - ladder->doubted_ns < DOUBT_NS)
		return;
	ladder->doubted_ns = now;
	ladder->doubt = true;
}

bool qs_ladder_yield(struct qs_endpoint *endpoint)
{
	bool was_attached = endpoint->ladder.attached;

	rest(endpoint);
	return was_attached;
}

bool qs_ladder_is_classic(const struct qs_endpoint *endpoint)
{
	const struct qs_ladder *ladder = &endpoint->ladder;
	const struct qs_link *link;

	if (ladder->attached)
		return ladder->map.index[endpoint->member->slot] != QS_CLASSIC_NOWHERE;
	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (link->is_keeper && is_twin(endpoint, link))
			return true;
	}
	return false;
}
