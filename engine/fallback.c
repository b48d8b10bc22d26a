/* SPDX-License-Identifier: MIT */
/* Where QUIC failed: remembered with back-off; and which connections took TCP. */

/*
 * Theory (mode prefer). A failure is remembered only where TCP worked: a host that is down says
 * nothing about QUIC, and its clients must not greet it in the clear when it comes back. While the
 * pause lasts, connections take TCP at once. Then the next one takes TCP at once too, and QUIC is
 * probed in the background (race.c): nobody waits for a probe. The pause is the rule's retry-after
 * after the first failure and doubles with each one in a row, DOUBLINGS times at most. A probe that
 * succeeds, or a TCP that fails, ends the memory.
 * A certificate that fails in the background is never a reason for TCP, unless the policy says so.
 * The table is bounded; it dies with the engine, and a forked engine has its copy.
 */
#include "fallback.h"

#include "conn.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLINGS 6u

enum qs_reason qs_fallback_reason(int error)
{
	switch (error) {
	case EACCES:
		return QS_REASON_CERTIFICATE;
	case ECONNREFUSED:
		return QS_REASON_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return QS_REASON_UNREACHABLE;
	case ETIMEDOUT:
		return QS_REASON_TIMEOUT;
	default:
		return QS_REASON_FAILED;
	}
}

static void make_key(struct qs_fallback_key *out, const struct qs_conn_key *key)
{
	memset(out, 0, sizeof(*out));
	out->peer = key->peer;
	out->source = key->source;
	out->mark = key->mark;
	memcpy(out->device, key->device, sizeof(out->device));
	strncpy(out->alpn, key->rule->alpn, sizeof(out->alpn) - 1);
}

static struct qs_fallback *find(struct qs_engine *engine, const struct qs_conn_key *key)
{
	struct qs_fallback_key wanted;
	struct qs_fallback *entry;

	make_key(&wanted, key);
	HASH_FIND(hh, engine->fallbacks, &wanted, sizeof(wanted), entry);
	return entry;
}

static void drop(struct qs_engine *engine, struct qs_fallback *entry)
{
	HASH_DELETE(hh, engine->fallbacks, entry);
	TAILQ_REMOVE(&engine->fallbacks_by_age, entry, link);
	engine->n_fallbacks--;
	free(entry);
}

static struct qs_fallback *entry_new(struct qs_engine *engine, const struct qs_conn_key *key)
{
	struct qs_fallback *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	make_key(&entry->key, key);
	HASH_ADD(hh, engine->fallbacks, key, sizeof(entry->key), entry);
	if (entry->hh.tbl == NULL) { /* uthash had no memory */
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&engine->fallbacks_by_age, entry, link);
	if (++engine->n_fallbacks > QS_FAILURES_MAX)
		drop(engine, TAILQ_FIRST(&engine->fallbacks_by_age));
	return entry;
}

void qs_fallback_note(struct qs_engine *engine, const struct qs_conn_key *key,
		      enum qs_reason reason)
{
	struct qs_fallback *entry = find(engine, key);
	unsigned doublings;

	/* TCP must not follow from it, so QUIC is tried first the next time, whatever was before. */
	if (reason == QS_REASON_CERTIFICATE && !key->rule->plain_on_bad_certificate) {
		qs_fallback_forget(engine, key);
		return;
	}
	if (entry != NULL && engine->now_ns < entry->until_ns)
		return;
	if (entry == NULL)
		entry = entry_new(engine, key);
	if (entry == NULL)
		return;
	TAILQ_REMOVE(&engine->fallbacks_by_age, entry, link);
	TAILQ_INSERT_TAIL(&engine->fallbacks_by_age, entry, link);
	doublings = entry->failures < DOUBLINGS ? entry->failures : DOUBLINGS;
	entry->failures++;
	entry->reason = reason;
	entry->until_ns = engine->now_ns + (key->rule->retry_after_ns << doublings);
	qs_log("QUIC to port %u failed (%s), time %u in a row: TCP for %llu ms", key->peer.port,
	       qs_reason_name(reason), entry->failures,
	       (unsigned long long)((key->rule->retry_after_ns << doublings) / QS_MSEC));
}

void qs_fallback_forget(struct qs_engine *engine, const struct qs_conn_key *key)
{
	struct qs_fallback *entry = find(engine, key);

	if (entry != NULL)
		drop(engine, entry);
}

const struct qs_fallback *qs_fallback_find(struct qs_engine *engine, const struct qs_conn_key *key)
{
	return find(engine, key);
}

void qs_fallback_fini(struct qs_engine *engine)
{
	while (!TAILQ_EMPTY(&engine->fallbacks_by_age))
		drop(engine, TAILQ_FIRST(&engine->fallbacks_by_age));
	free(engine->verdicts);
	engine->verdicts = NULL;
}

void qs_verdict_keep(struct qs_engine *engine, const struct qs_status_verdict *verdict)
{
	struct qs_status_verdict *slot;

	engine->totals.tcp[verdict->reason]++;
	qs_log("a connection of pid %d took TCP: %s", (int)verdict->pid,
	       qs_reason_name((enum qs_reason)verdict->reason));
	if (engine->verdicts == NULL)
		engine->verdicts = calloc(QS_VERDICTS_MAX, sizeof(*engine->verdicts));
	if (engine->verdicts == NULL)
		return;
	slot = &engine->verdicts[engine->n_verdicts++ % QS_VERDICTS_MAX];
	*slot = *verdict;
	slot->age_ms = engine->now_ns / QS_MSEC; /* when; the list makes an age of it */
}

unsigned qs_verdict_list(const struct qs_engine *engine, struct qs_status_verdict *out)
{
	uint64_t n = engine->n_verdicts < QS_VERDICTS_MAX ? engine->n_verdicts : QS_VERDICTS_MAX;

	for (uint64_t i = 0; i < n; i++) {
		out[i] = engine->verdicts[(engine->n_verdicts - 1 - i) % QS_VERDICTS_MAX];
		out[i].age_ms = engine->now_ns / QS_MSEC - out[i].age_ms;
	}
	return (unsigned)n;
}
