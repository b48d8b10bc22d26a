/* SPDX-License-Identifier: MIT */
/* Who serves a new connection: a listener of ours, a sibling, or nobody. */

/*
 * Theory. What our own listeners serve and what each link's peer has said are looked through as one
 * list. The client's protocols are tried in its order; for each the best fit of address and name
 * wins. Among equals ours comes first, since the kernel has chosen us; else a hash of the client's
 * connection ID chooses, so that siblings share the load.
 */
#include "route.h"

#include <stdio.h>
#include <string.h>

/* One look at all that is served. */
struct look {
	struct qs_endpoint *endpoint;
	const struct qs_addr *local;
	const char *alpn, *name;
	uint32_t hash;
	bool protocol; /* somebody speaks it here, whatever the name */
	unsigned best; /* fit */
	unsigned n; /* siblings that fit as well */
	struct qs_route *out;
};

static void fill(const struct qs_listener *listener, const struct qs_endpoint *endpoint,
		 struct qs_serve *out)
{
	memset(out, 0, sizeof(*out));
	out->id = listener->id;
	out->pid = listener->pid;
	out->endpoint = endpoint->address;
	out->tcp = listener->address;
	out->cookie = listener->cookie;
	out->since_ns = listener->since_ns;
	out->reuseport = listener->reuseport;
	out->tentative = listener->tentative;
	snprintf(out->alpn, sizeof(out->alpn), "%s", listener->rule->alpn);
	memcpy(out->program, listener->program, sizeof(out->program));
}

unsigned qs_route_serves(const struct qs_endpoint *endpoint, struct qs_serve *out, unsigned max)
{
	const struct qs_listener *listener;
	unsigned n = 0;

	TAILQ_FOREACH(listener, &endpoint->engine->listeners, link)
	{
		const char *names = NULL;

		if (!qs_listener_serves(listener, endpoint))
			continue;
		names = listener->rule->server_names != NULL ? listener->rule->server_names : "";
		do {
			size_t len = strcspn(names, " ");

			if (n < max) {
				fill(listener, endpoint, &out[n]);
				snprintf(out[n].name, sizeof(out[n].name), "%.*s", (int)len, names);
			}
			n++;
			names += len + (names[len] == ' ');
		} while (*names != '\0');
	}
	return n;
}

/* One of n by the hash, for each n another way. */
static bool is_turn(uint32_t hash, unsigned n)
{
	uint64_t mixed = (hash ^ (uint64_t)n << 32) * 0x9e3779b97f4a7c15ull;

	return (mixed >> 33) % n == 0;
}

static void consider(struct look *look, const struct qs_serve *serve, struct qs_link *link)
{
	struct qs_route *out = look->out;
	struct qs_listener *listener = NULL;
	unsigned fit;

	if (serve->tentative || strcmp(serve->alpn, look->alpn) != 0)
		return;
	if (link == NULL) {
		listener = qs_listener_by_id(look->endpoint->engine, look->endpoint, serve->id);
		if (listener == NULL)
			return; /* it has just gone */
	}
	look->protocol |= qs_serve_covers(serve, look->local);
	fit = qs_serve_fit(serve, look->local, look->name);
	if (fit == 0 || fit < look->best)
		return;
	if (fit > look->best) {
		look->best = fit;
		look->n = 0;
		*out = (struct qs_route){.kind = QS_ROUTE_LINK};
	}
	if (link == NULL) {
		out->kind = QS_ROUTE_LISTENER;
		out->listener = listener;
		return;
	}
	if (is_turn(look->hash, ++look->n)) {
		out->link = link;
		out->serve = serve->id;
	}
}

/* Calls fn for all that is served, ours first; until it says false. */
static void each(struct qs_endpoint *endpoint,
		 bool (*fn)(const struct qs_serve *serve, struct qs_link *link, void *arg),
		 void *arg)
{
	struct qs_member *member = endpoint->member;
	struct qs_link *link;

	for (unsigned i = 0; i < member->n_serves; i++) {
		if (!fn(&member->serves[i], NULL, arg))
			return;
	}
	TAILQ_FOREACH(link, &member->links, link)
	{
		for (unsigned i = 0; i < link->n_serves; i++) {
			if (!fn(&link->serves[i], link, arg))
				return;
		}
	}
}

static bool consider_one(const struct qs_serve *serve, struct qs_link *link, void *arg)
{
	consider(arg, serve, link);
	return true;
}

bool qs_route_find(struct qs_endpoint *endpoint, const struct qs_addr *local, const char *alpn,
		   const char *name, uint32_t hash, struct qs_route *out)
{
	struct look look = {.endpoint = endpoint,
			    .local = local,
			    .alpn = alpn,
			    .name = name,
			    .hash = hash,
			    .out = out};

	*out = (struct qs_route){.kind = QS_ROUTE_NO_PROTOCOL};
	each(endpoint, consider_one, &look);
	if (look.best > 0)
		return true;
	if (look.protocol)
		out->kind = QS_ROUTE_NO_NAME;
	return false;
}

struct plain {
	const struct qs_addr *local;
	const char *alpn;
	bool is_plain;
};

static bool is_like_first(const struct qs_serve *serve, struct qs_link *link, void *arg)
{
	struct plain *plain = arg;

	(void)link;
	if (serve->tentative || !qs_serve_covers(serve, plain->local))
		return true;
	if (plain->alpn == NULL)
		plain->alpn = serve->alpn;
	plain->is_plain = serve->name[0] == '\0' && strcmp(serve->alpn, plain->alpn) == 0;
	return plain->is_plain;
}

bool qs_route_plain(struct qs_endpoint *endpoint, const struct qs_addr *local, uint32_t hash,
		    struct qs_route *out)
{
	struct plain plain = {.local = local, .is_plain = true};

	*out = (struct qs_route){.kind = QS_ROUTE_CLOSED};
	each(endpoint, is_like_first, &plain);
	if (plain.is_plain && plain.alpn != NULL)
		qs_route_find(endpoint, local, plain.alpn, "", hash, out);
	return plain.is_plain;
}

bool qs_route_may(const struct qs_link *link, const struct qs_addr *local, const char *alpn,
		  const char *name, uint64_t cookie)
{
	if (link->known && !link->served && qs_addr_overlap(&link->peer.endpoint, local))
		return true;
	for (unsigned i = 0; i < link->n_serves; i++) {
		const struct qs_serve *serve = &link->serves[i];

		if (serve->cookie != cookie && strcmp(serve->alpn, alpn) == 0 &&
		    qs_serve_fit(serve, local, name) > 0)
			return true;
	}
	return false;
}

bool qs_route_elsewhere(const struct qs_endpoint *endpoint, const struct qs_addr *local,
			const char *alpn, const char *name, uint64_t cookie)
{
	const struct qs_link *link;

	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (qs_route_may(link, local, alpn, name, cookie))
			return true;
	}
	return false;
}
