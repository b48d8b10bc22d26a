/* SPDX-License-Identifier: MIT */
/* Buffers of stream bytes: the big ones are kept for the next user. */
#include "stream.h"

#include <stdlib.h>

#define POOL_MAX 64u

struct qs_chunk *qs_chunk_new(struct qs_engine *engine, size_t cap)
{
	struct qs_chunk *chunk;

	if (cap == QS_CHUNK_BIG && engine->free_chunks != NULL) {
		chunk = engine->free_chunks;
		engine->free_chunks = chunk->next;
		engine->n_free_chunks--;
	} else {
		chunk = malloc(sizeof(*chunk) + cap);
		if (chunk == NULL)
			return NULL;
	}
	chunk->next = NULL;
	chunk->cap = (uint32_t)cap;
	chunk->start = chunk->end = 0;
	return chunk;
}

void qs_chunk_free(struct qs_engine *engine, struct qs_chunk *chunk)
{
	if (chunk->cap == QS_CHUNK_BIG && engine->n_free_chunks < POOL_MAX) {
		chunk->next = engine->free_chunks;
		engine->free_chunks = chunk;
		engine->n_free_chunks++;
	} else {
		free(chunk);
	}
}
