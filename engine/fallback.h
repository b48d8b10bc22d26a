/* SPDX-License-Identifier: MIT */
/* Where QUIC failed: remembered with back-off; and which connections took TCP. Engine thread only. */
#ifndef QS_FALLBACK_H
#define QS_FALLBACK_H

#include "engine.h"
#include "hash.h"

struct qs_conn_key;

/* What a failure is remembered for. Compared as octets: no padding may differ. */
struct qs_fallback_key {
	struct qs_addr peer, source;
	uint32_t mark;
	char device[16];
	char alpn[32];
};

struct qs_fallback {
	UT_hash_handle hh;
	TAILQ_ENTRY(qs_fallback) link; /* oldest failure first */
	struct qs_fallback_key key;
	enum qs_reason reason;
	unsigned failures; /* in a row */
	uint64_t until_ns; /* QUIC is not tried before */
};

/* QUIC failed, and TCP did not. Doubles the pause if the last one is over; within a pause nothing
 * changes. The oldest of QS_FAILURES_MAX entries makes room. */
void qs_fallback_note(struct qs_engine *engine, const struct qs_conn_key *key,
		      enum qs_reason reason);
/* QUIC works there, or TCP does not either. */
void qs_fallback_forget(struct qs_engine *engine, const struct qs_conn_key *key);
/* NULL if nothing is remembered. Good until one of the above is called. */
const struct qs_fallback *qs_fallback_find(struct qs_engine *engine, const struct qs_conn_key *key);
void qs_fallback_fini(struct qs_engine *engine);

/* The reason that the errno of a failed attempt stands for. */
enum qs_reason qs_fallback_reason(int error);
/* Counts a connection that took TCP, and keeps it among the last ones; `verdict` has everything but
 * its age. */
void qs_verdict_keep(struct qs_engine *engine, const struct qs_status_verdict *verdict);
/* Copies the kept ones, newest first, into room for QS_VERDICTS_MAX. Returns how many. */
unsigned qs_verdict_list(const struct qs_engine *engine, struct qs_status_verdict *out);

#endif
