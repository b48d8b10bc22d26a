/* SPDX-License-Identifier: MIT */
/* The last will, the engine's side: the shared memory, a server's words, and the program's start. */

/*
 * Theory. A process that is killed can say nothing, and the kernel says nothing for it: a peer would
 * wait for its idle timeout. So a small program (will_main.c) waits on a pipe for the engine's end
 * and then sends what stands in the memory that both share. An engine that ends in order has
 * revoked every entry by then; what is left is told.
 *
 * A server's words are stateless resets (RFC 9000, 10.3), one for each of our connection IDs that
 * the peer has used lately: those need no key and no packet number. Their unpredictable part begins
 * with the peer's own connection ID, so that whoever distributes its datagrams finds the
 * connection. A client's first ID has no token: its words are a sealed packet (will_seal.c).
 *
 * The program starts with the first listener, or right after a client's first flight has left, while
 * that is on its way: it runs before there can be a key for anything that a peer's app would see. So
 * there is no moment at which a peer has heard of a stream, and nobody waits. It has no socket: it
 * binds the address anew, which is free when the engine is gone (a server's has SO_REUSEPORT), and it
 * must never stand in the way before.
 *
 * After the fork-out of an engine thread the copy holds the pipe and the memory as before.
 */
#include "will.h"

#include "cid.h"
#include "conn.h"
#include "log.h"
#include "unseen.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define RESET_NOISE 20u /* enough for a receiver that takes it for a packet to try and decrypt it */

static char program[4096]; /* "" = unknown */

void qs_will_locate(const char *beside, const char *folder)
{
	const char *slash = strrchr(beside, '/');
	int n = slash == NULL ? 0 : (int)(slash - beside) + 1;

	if (n == 0 || snprintf(program, sizeof(program), "%.*s%squicshim-will", n, beside,
			       folder) >= (int)sizeof(program))
		program[0] = '\0';
}

/* --- the program --- */

static void start(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_will *will = qs_container(timer, struct qs_will, start);
	struct qs_engine *engine = qs_container(will, struct qs_engine, will);
	char name[] = "quicshim-will", id[17], *argv[] = {name, id, NULL};
	int tube[2], rv;

	(void)now_ns;
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)engine->identity.id);
	if (pipe2(tube, O_CLOEXEC) < 0) {
		qs_log("no last will: %s", strerrorname_np(errno));
		will->failed = true;
		return;
	}
	rv = qs_unseen_exec(program, argv, (int[]){will->page_fd, tube[0]});
	close(tube[0]);
	if (rv < 0) {
		qs_log("no last will: %s: %s", program, strerrorname_np(-rv));
		close(tube[1]);
		will->failed = true;
		return;
	}
	will->pipe_fd = tube[1];
}

static int make_page(struct qs_engine *engine)
{
	struct qs_will *will = &engine->will;
	void *map;

	will->page_fd = memfd_create("quicshim-will", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (will->page_fd < 0)
		return -errno;
	if (ftruncate(will->page_fd, (off_t)QS_WILL_BYTES) < 0)
		return -errno;
	map = mmap(NULL, QS_WILL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, will->page_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	fcntl(will->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
	will->free = malloc(QS_WILL_ENTRIES * sizeof(*will->free));
	if (will->free == NULL) {
		munmap(map, QS_WILL_BYTES);
		return -ENOMEM;
	}
	will->page = map;
	will->page->magic = QS_WILL_MAGIC;
	will->start.fn = start;
	return 0;
}

void qs_will_prepare(struct qs_engine *engine, bool server)
{
	struct qs_will *will = &engine->will;
	int rv = 0;

	if (will->failed || will->pipe_fd > 0 || program[0] == '\0')
		return;
	if (will->page == NULL)
		rv = make_page(engine);
	if (rv == 0 && server) {
		qs_timer_clear(&engine->timers, &will->start);
		start(&will->start, engine->now_ns);
	} else if (rv == 0 && will->start.index == 0) {
		/* The next turn begins with it; this one ends with the first flight. */
		rv = qs_timer_set(&engine->timers, &will->start, engine->now_ns);
	}
	if (rv < 0) {
		qs_log("no last will: %s", strerrorname_np(-rv));
		will->failed = true;
	}
}

void qs_will_fini(struct qs_engine *engine)
{
	struct qs_will *will = &engine->will;

	qs_timer_clear(&engine->timers, &will->start);
	if (will->page != NULL)
		munmap(will->page, QS_WILL_BYTES);
	if (will->page_fd > 0)
		close(will->page_fd);
	if (will->pipe_fd > 0)
		close(will->pipe_fd);
	free(will->free);
	*will = (struct qs_will){0};
}

/* --- entries --- */

static bool take_entry(struct qs_conn *conn)
{
	struct qs_will *will = &conn->engine->will;
	uint32_t n;

	if (conn->will.entry != 0)
		return true;
	if (will->pipe_fd == 0)
		qs_will_prepare(conn->engine, false);
	if (will->page == NULL)
		return false;
	if (will->n_free > 0) {
		conn->will.entry = will->free[--will->n_free] + 1;
		return true;
	}
	n = atomic_load_explicit(&will->page->n, memory_order_relaxed);
	if (n >= QS_WILL_ENTRIES)
		return false;
	atomic_store_explicit(&will->page->n, n + 1, memory_order_release);
	conn->will.entry = n + 1;
	return true;
}

bool qs_will_write(struct qs_conn *conn,
		   void (*fill)(struct qs_conn *conn, struct qs_will_words *words))
{
	struct qs_will_entry *entry;
	struct qs_will_words *words;
	uint32_t other;

	if (!take_entry(conn))
		return false;
	entry = &conn->engine->will.page->entries[conn->will.entry - 1];
	other = atomic_load_explicit(&entry->in_force, memory_order_relaxed) == 1 ? 2 : 1;
	words = &entry->words[other - 1];
	words->local = conn->local;
	words->peer = conn->peer;
	words->mark = conn->key.mark;
	memcpy(words->device, conn->key.device, sizeof(words->device));
	words->n = 0;
	fill(conn, words);
	atomic_store_explicit(&entry->in_force, words->n > 0 ? other : 0, memory_order_release);
	return true;
}

void qs_will_revoke(struct qs_conn *conn)
{
	struct qs_will *will = &conn->engine->will;

	if (conn->will.entry == 0)
		return;
	atomic_store_explicit(&will->page->entries[conn->will.entry - 1].in_force, 0,
			      memory_order_release);
	will->free[will->n_free++] = conn->will.entry - 1;
	conn->will = (struct qs_will_state){0};
}

/* --- a server's words --- */

static void fill_resets(struct qs_conn *conn, struct qs_will_words *words)
{
	const ngtcp2_cid *dcid = ngtcp2_conn_get_dcid(conn->quic);

	for (unsigned i = 0; i < conn->will.n_cids; i++) {
		uint8_t *packet = words->packet[words->n];
		size_t head = 1 + dcid->datalen + RESET_NOISE;

		if (gnutls_rnd(GNUTLS_RND_NONCE, packet, head) != 0 ||
		    ngtcp2_crypto_generate_stateless_reset_token(packet + head, conn->reset_secret,
								 QS_TLS_RESET_SECRET,
								 &conn->will.cids[i]) != 0)
			continue;
		packet[0] = (uint8_t)(0x40 | (packet[0] & 0x3f));
		memcpy(packet + 1, dcid->data, dcid->datalen);
		words->len[words->n++] = (uint8_t)(head + NGTCP2_STATELESS_RESET_TOKENLEN);
	}
}
_Static_assert(1 + NGTCP2_MAX_CIDLEN + RESET_NOISE + NGTCP2_STATELESS_RESET_TOKENLEN <=
		       QS_WILL_PACKET_MAX,
	       "a reset fits");

void qs_will_saw(struct qs_conn *conn, const uint8_t *packet, size_t len)
{
	struct qs_will_state *will = &conn->will;
	ngtcp2_cid cid = {.datalen = QS_CID_LEN};
	unsigned i = 0;

	if (!conn->server || len <= 1 + QS_CID_LEN || packet[0] & 0x80 ||
	    (will->n_cids > 0 && memcmp(will->cids[0].data, packet + 1, QS_CID_LEN) == 0))
		return;
	memcpy(cid.data, packet + 1, QS_CID_LEN);
	while (i < will->n_cids && memcmp(will->cids[i].data, cid.data, QS_CID_LEN) != 0)
		i++;
	if (i == will->n_cids && i < QS_WILL_PACKETS)
		will->n_cids++;
	if (i == QS_WILL_PACKETS)
		i--; /* the oldest goes */
	memmove(&will->cids[1], &will->cids[0], i * sizeof(will->cids[0]));
	will->cids[0] = cid;
	qs_will_renew(conn);
}

void qs_will_renew(struct qs_conn *conn)
{
	if (!conn->handshake_done || conn->state != QS_CONNECTION_OPEN || conn->poisoned)
		return;
	if (conn->server)
		qs_will_write(conn, fill_resets);
	else
		conn->will.key = NULL; /* the next packet brings it */
}
