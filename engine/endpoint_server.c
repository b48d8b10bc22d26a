/* SPDX-License-Identifier: MIT */
/* Servers' UDP endpoints: shared by listeners and by siblings. */

/*
 * Theory. A server's endpoint is a member of the engines that share its port (group.h), and bound without SO_REUSEPORT
 * while it is alone at its address: else any program of the same user could bind it too and take
 * half of its datagrams. When another engine wants the address, its hello switches the option on,
 * and its bind makes both a reuseport group. A member whose last listener is gone keeps its socket
 * until its last connection ends; it publishes nothing, so first flights that still come are handed
 * to siblings, or refused if there are none.
 */
#include "endpoint_parts.h"

#include "log.h"
#include "token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *address_text(const struct qs_addr *address, char out[static 64])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->family, address->ip, ip, sizeof(ip));
	snprintf(out, 64, address->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, address->port);
	return out;
}

/* The kernel says that the address is in use: by whom? */
static void explain_in_use(const struct qs_endpoint *endpoint, char *text)
{
	const struct qs_link *link;
	char where[64];

	address_text(&endpoint->address, where);
	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (!link->known || !qs_addr_overlap(&link->peer.endpoint, &endpoint->address))
			continue;
		snprintf(
			text, 512,
			"UDP %s is bound by pid %d (%s), whose socket belongs to another user: the "
			"kernel lets sockets of one user only share an address; start both as "
			"root, "
			"or as one user, or with the same udp-owner",
			where, link->peer.pid, link->peer.program);
		return;
	}
	snprintf(text, 512,
		 "UDP %s is in use by another program or by another user's quicshim; give this "
		 "section another endpoint",
		 where);
}

static void share_address(struct qs_endpoint *endpoint, int on)
{
	if (endpoint->udp.fd >= 0)
		setsockopt(endpoint->udp.fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* The option is on at once when somebody comes, and off some time after he has gone. */
void qs_endpoint_group_changed(struct qs_endpoint *endpoint)
{
	if (qs_member_has_neighbour(endpoint->member))
		share_address(endpoint, 1);
	qs_ladder_sweep(endpoint);
}

void qs_endpoint_sweep(struct qs_endpoint *endpoint)
{
	if (!endpoint->server)
		return;
	qs_member_sweep(endpoint->member);
	if (qs_member_is_alone(endpoint->member))
		share_address(endpoint, 0);
	qs_ladder_sweep(endpoint);
	qs_endpoint_sweep_flights(endpoint);
}

void qs_endpoint_group_asked(struct qs_endpoint *endpoint)
{
	qs_listener_probe_all(endpoint->engine);
}

static uint64_t name_secret(const uint8_t *secret)
{
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN] = {0};
	ngtcp2_cid cid;
	uint64_t name;

	ngtcp2_cid_init(&cid, (const uint8_t *)"name", 4);
	ngtcp2_crypto_generate_stateless_reset_token(token, secret, QS_TLS_RESET_SECRET, &cid);
	memcpy(&name, token, sizeof(name));
	return name;
}

/* Of the machine, as far as that can be told; never the same by the same image on two of them. */
static size_t machine_name(char *out, size_t size)
{
	static const char *const paths[] = {"/etc/machine-id", "/proc/sys/kernel/random/boot_id"};
	ssize_t n = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && n <= 0; i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		n = fd >= 0 ? read(fd, out, size) : -1;
		if (fd >= 0)
			close(fd);
	}
	return n > 0 ? (size_t)n : 0;
}

/*
 * The secret of the endpoint's stateless resets. It follows from the private key, so that a successor
 * has it too, but is another one at another address: else one server could be asked to end the
 * connections of another that has the same certificate (RFC 9000, 21.11).
 */
static int make_reset_secret(struct qs_endpoint *endpoint, const uint8_t *key)
{
	struct {
		char what[16];
		struct qs_addr address;
		char machine[64];
	} of = {.what = "quicshim reset"};

	of.address = endpoint->address;
	of.address.scope_id = 0;
	machine_name(of.machine, sizeof(of.machine));
	return gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, QS_TLS_RESET_SECRET, &of, sizeof(of),
				endpoint->reset_secret) == 0
		       ? 0
		       : -EIO;
}

static int bind_server(struct qs_endpoint *endpoint, char *text)
{
	struct qs_udp_options options = {.reuseport = qs_member_has_neighbour(endpoint->member),
					 .has_owner = endpoint->owner >= 0,
					 .owner = (uid_t)endpoint->owner};
	struct stat st;
	int rv = qs_endpoint_open(endpoint, &options);

	if (rv == -EADDRINUSE)
		explain_in_use(endpoint, text);
	if (rv == -EPERM && options.has_owner)
		snprintf(text, 512,
			 "udp-owner = %u: only root may give the UDP socket to another user",
			 (unsigned)options.owner);
	if (rv < 0)
		return rv;
	if (fstat(endpoint->udp.fd, &st) == 0)
		endpoint->member->uids[1] = st.st_uid;
	qs_member_bound(endpoint->member);
	return 0;
}

static int server_open(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_rule *rule, struct qs_endpoint **out, char *text)
{
	struct qs_tls_creds *creds = qs_engine_creds(engine, rule, text);
	struct qs_endpoint *endpoint =
		creds != NULL ? qs_endpoint_new(engine, address, true) : NULL;
	int rv;

	if (endpoint == NULL)
		return creds != NULL ? -ENOMEM : -EACCES;
	/* No program in the kernel can decrypt: hand-off does the work. */
	endpoint->steering = rule->cid_key != NULL ? QS_STEERING_HASH : rule->steering;
	endpoint->owner = rule->udp_owner;
	rv = make_reset_secret(endpoint, qs_tls_creds_reset_secret(creds));
	if (rv < 0) {
		free(endpoint);
		return rv;
	}
	rv = qs_cid_codec_init(&endpoint->codec, (uint16_t)rule->host_id, 0,
			       qs_tls_creds_cid_key(creds));
	if (rv == 0)
		rv = qs_token_secret(endpoint->token_secret, endpoint->reset_secret,
				     sizeof(endpoint->reset_secret));
	if (rv == 0)
		rv = qs_member_join(engine, endpoint, address, name_secret(endpoint->reset_secret),
				    &endpoint->member);
	if (rv == 0) {
		qs_member_sync(endpoint->member);
		rv = bind_server(endpoint, text);
	}
	if (rv == -EADDRINUSE && endpoint->member == NULL)
		snprintf(text, 512,
			 "all %u names of engines on UDP port %u are taken (quicshim/udp*/%u/* in "
			 "/proc/net/unix): is somebody squatting on them?",
			 QS_GROUP_SLOTS, address->port, address->port);
	if (rv < 0) {
		qs_member_leave(endpoint->member);
		qs_endpoint_free(endpoint);
		return rv;
	}
	*out = endpoint;
	return 0;
}

int qs_endpoint_server(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_rule *rule, struct qs_endpoint **out, char *text)
{
	struct qs_endpoint *endpoint;

	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		if (endpoint->server && qs_addr_equal(&endpoint->address, address)) {
			*out = endpoint;
			return 0;
		}
	}
	return server_open(engine, address, rule, out, text);
}

int qs_endpoint_publish(struct qs_endpoint *endpoint)
{
	unsigned n = qs_route_serves(endpoint, NULL, 0);
	struct qs_serve *serves = NULL;

	if (n > QS_GROUP_SERVES_MAX)
		return -ENOSPC;
	if (n > 0) {
		serves = calloc(n, sizeof(*serves));
		if (serves == NULL)
			return -ENOMEM;
		qs_route_serves(endpoint, serves, n);
	}
	qs_member_publish(endpoint->member, serves, n);
	qs_ladder_update(endpoint);
	free(serves);
	return 0;
}

/* Whether `other`, who is in `slot`, was there before. */
static bool is_elder(const struct qs_endpoint *endpoint, const struct qs_serve *mine,
		     const struct qs_serve *other, uint16_t slot)
{
	if (other->since_ns != mine->since_ns)
		return other->since_ns < mine->since_ns;
	return slot < endpoint->member->slot ||
	       (slot == endpoint->member->slot && other->id < mine->id);
}

static bool is_taken(const struct qs_endpoint *endpoint, const struct qs_serve *mine,
		     const struct qs_serve *other, uint16_t slot, char *text)
{
	char where[64];

	if (!qs_serve_clash(mine, other) || !is_elder(endpoint, mine, other, slot))
		return false;
	snprintf(text, 512, "UDP %s: alpn %s%s%.200s is served by pid %d (%s) already",
		 address_text(&endpoint->address, where), mine->alpn,
		 mine->name[0] ? ", server-name " : "", mine->name, other->pid, other->program);
	return true;
}

int qs_endpoint_judge(struct qs_endpoint *endpoint, const struct qs_listener *listener, char *text)
{
	struct qs_member *member = endpoint->member;
	struct qs_link *link;

	qs_member_sync(member);
	for (unsigned i = 0; i < member->n_serves; i++) {
		const struct qs_serve *mine = &member->serves[i];

		if (mine->id != listener->id)
			continue;
		for (unsigned k = 0; k < member->n_serves; k++) {
			if (member->serves[k].id != mine->id &&
			    is_taken(endpoint, mine, &member->serves[k], member->slot, text))
				return -EADDRINUSE;
		}
		TAILQ_FOREACH(link, &member->links, link)
		{
			for (unsigned k = 0; k < link->n_serves; k++) {
				if (is_taken(endpoint, mine, &link->serves[k], link->peer.slot,
					     text))
					return -EADDRINUSE;
			}
		}
	}
	return 0;
}
