/* SPDX-License-Identifier: MIT */
/* The last will: what a small program tells the peers when this engine is killed (DESIGN D6). */
#ifndef QS_WILL_H
#define QS_WILL_H

#include "control.h"
#include "timer.h"

#include <ngtcp2/ngtcp2.h>
#include <stdatomic.h>

struct qs_engine;
struct qs_conn;

/*
 * The memory that engine and program share; the engine alone writes it, the program looks at it when
 * the engine is no more. Each entry is a connection. Its words stand twice: the engine writes those
 * that are not in force, then puts them in force by one store, so that a kill at any moment leaves
 * words that are whole.
 */
#define QS_WILL_MAGIC 0x5153574c31ull
#define QS_WILL_ENTRIES 16384u
#define QS_WILL_PACKETS 4u
#define QS_WILL_PACKET_MAX 64u
struct qs_will_words {
	struct qs_addr local, peer;
	uint32_t mark;
	char device[16]; /* "" = any */
	uint32_t n; /* packets */
	uint8_t len[QS_WILL_PACKETS];
	uint8_t packet[QS_WILL_PACKETS][QS_WILL_PACKET_MAX];
};
struct qs_will_entry {
	_Atomic uint32_t in_force; /* 0 nothing is to be said; 1 or 2: words[that - 1] */
	struct qs_will_words words[2];
};
struct qs_will_page {
	uint64_t magic;
	_Atomic uint32_t n; /* entries from here on were never used */
	uint32_t reserved;
	struct qs_will_entry entries[];
};
#define QS_WILL_BYTES (sizeof(struct qs_will_page) + QS_WILL_ENTRIES * sizeof(struct qs_will_entry))

/* The program's descriptors: the memory, and a pipe that ends when the engine does. */
#define QS_WILL_PAGE_FD 0
#define QS_WILL_PIPE_FD 1

/* Everything below: engine thread only. */

struct qs_will {
	struct qs_will_page *page; /* NULL until the first connection or listener */
	int page_fd, pipe_fd; /* 0 = none: the program does not run */
	struct qs_timer start;
	uint32_t *free; /* entries given back */
	uint32_t n_free;
	bool failed; /* there can be none: tried no more */
};

/* In each connection. Zeroed = nothing to tell. */
struct qs_will_state {
	uint32_t entry; /* index + 1, 0 = none */
	/* Server: the IDs of ours that the peer has used, the latest first. */
	uint8_t n_cids;
	ngtcp2_cid cids[QS_WILL_PACKETS];
	/* Client: what the sealed packet was sealed for. */
	const void *key; /* NULL = none is sealed yet */
	uint8_t head; /* first octet */
	uint8_t dcid_len;
	uint8_t dcid[NGTCP2_MAX_CIDLEN];
	uint64_t next_pn; /* after the packet written last */
	uint64_t sealed_pn; /* 0 = none */
};

/* Where the program is: beside the file at `beside`, in `folder` ("" = the same). Once, before the
 * engine runs; without it the engine leaves no will. */
void qs_will_locate(const char *beside, const char *folder);
void qs_will_fini(struct qs_engine *engine);
/* Starts the program: for a server now, as its process may be about to give up the right to bind such
 * an address; for a client when the turn that brings its first flight is over. */
void qs_will_prepare(struct qs_engine *engine, bool server);

/* The connection is up, or its path or its connection IDs have changed. */
void qs_will_renew(struct qs_conn *conn);
/* A packet for this connection ID of ours came. */
void qs_will_saw(struct qs_conn *conn, const uint8_t *packet, size_t len);
/* The connection ends and its peer is told, or told us. */
void qs_will_revoke(struct qs_conn *conn);

/* A client's packets are written between these two; `conn` NULL ends it. */
void qs_will_writing(struct qs_conn *conn);
/* ngtcp2's callbacks for client connections, around those of its crypto library. */
int qs_will_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
		    const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *plaintext,
		    size_t plaintext_len, const uint8_t *nonce, size_t nonce_len,
		    const uint8_t *aad, size_t aad_len);
int qs_will_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
		    const ngtcp2_crypto_cipher_ctx *hp_ctx, const uint8_t *sample);

/* Puts the words in force that `fill` writes. False if there is no memory to write to. */
bool qs_will_write(struct qs_conn *conn,
		   void (*fill)(struct qs_conn *conn, struct qs_will_words *words));

#endif
