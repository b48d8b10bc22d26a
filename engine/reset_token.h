/* SPDX-License-Identifier: MIT */
/* The tokens by which peers may end their connections (RFC 9000, 10.3). Engine thread only. */
#ifndef QS_RESET_TOKEN_H
#define QS_RESET_TOKEN_H

#include "hash.h"

struct qs_conn;
struct qs_engine;

/* Of one connection ID that we send to; in engine->reset_tokens. */
struct qs_reset_token {
	UT_hash_handle hh;
	uint64_t digest; /* of the token, which is kept nowhere: see reset_token.c */
	struct qs_conn *conn;
	struct qs_reset_token *sibling;
};

/* Its peer may end the connection by this token from now on. One that another connection has, or for which
 * there is no memory, is left out: such a reset will not be seen. */
void qs_reset_token_add(struct qs_conn *conn, const uint8_t *token);
void qs_reset_token_remove(struct qs_conn *conn, const uint8_t *token);
void qs_reset_token_remove_all(struct qs_conn *conn);
/* Whose it is, or NULL. */
struct qs_conn *qs_reset_token_find(struct qs_engine *engine, const uint8_t *token);

#endif
