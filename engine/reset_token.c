/* SPDX-License-Identifier: MIT */
/* Which connection a stateless reset is for: an index of the tokens that peers gave us. */

/*
 * Theory. A stateless reset has a random head: only its last octets, the token, tell whom it is for, and anybody can
 * send packets that might be one. So each packet for no connection of ours costs one search here, however many
 * connections there are. ngtcp2 says which connection IDs are in use, and with which tokens.
 *
 * Peers choose tokens, so the index goes by a digest of each under a key that no peer knows: nobody can fill one
 * bucket, and how long a search takes tells nothing of a token (RFC 9000, 10.3.1). A peer that gives one token to two
 * connections loses it for the second. The library compares the whole token again, in constant time.
 */
#include "reset_token.h"

#include "conn.h"

#include <stdlib.h>

static struct qs_reset_token *find(struct qs_engine *engine, uint64_t digest)
{
	struct qs_reset_token *known;

	HASH_FIND(hh, engine->reset_tokens, &digest, sizeof(digest), known);
	return known;
}

static uint64_t digest_of(const uint8_t *token)
{
	return qs_hash(token, NGTCP2_STATELESS_RESET_TOKENLEN);
}

void qs_reset_token_add(struct qs_conn *conn, const uint8_t *token)
{
	struct qs_reset_token *entry;
	uint64_t digest = digest_of(token);

	if (find(conn->engine, digest) != NULL)
		return;
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return;
	entry->digest = digest;
	entry->conn = conn;
	HASH_ADD(hh, conn->engine->reset_tokens, digest, sizeof(entry->digest), entry);
	if (entry->hh.tbl == NULL) { /* uthash had no memory */
		free(entry);
		return;
	}
	entry->sibling = conn->reset_tokens;
	conn->reset_tokens = entry;
}

static void remove_at(struct qs_conn *conn, struct qs_reset_token **at)
{
	struct qs_reset_token *entry = *at;

	*at = entry->sibling;
	HASH_DELETE(hh, conn->engine->reset_tokens, entry);
	free(entry);
}

void qs_reset_token_remove(struct qs_conn *conn, const uint8_t *token)
{
	uint64_t digest = digest_of(token);

	for (struct qs_reset_token **at = &conn->reset_tokens; *at != NULL; at = &(*at)->sibling) {
		if ((*at)->digest == digest) {
			remove_at(conn, at);
			return;
		}
	}
}

void qs_reset_token_remove_all(struct qs_conn *conn)
{
	while (conn->reset_tokens != NULL)
		remove_at(conn, &conn->reset_tokens);
}

struct qs_conn *qs_reset_token_find(struct qs_engine *engine, const uint8_t *token)
{
	struct qs_reset_token *known = find(engine, digest_of(token));

	return known != NULL ? known->conn : NULL;
}
