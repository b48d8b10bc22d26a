/* SPDX-License-Identifier: MIT */
/* One engine: its loop, and the lists of everything it serves. Engine thread only, all of it. */
#ifndef QS_ENGINE_H
#define QS_ENGINE_H

#include "control.h"
#include "flood.h"
#include "keeper.h"
#include "pages.h"
#include "policy.h"
#include "privilege.h"
#include "status.h"
#include "timer.h"
#include "udp.h"
#include "will.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define QS_NSEC 1000000000ull
#define QS_MSEC 1000000ull

/* A descriptor in the epoll set. `fn` may free the source's owner, but only through
 * qs_engine_bury(). */
struct qs_source {
	int fd;
	void (*fn)(struct qs_source *source, uint32_t events);
};

/* Something that must be freed once no event of this turn can still name it. */
struct qs_grave {
	SLIST_ENTRY(qs_grave) link;
	void (*fn)(struct qs_grave *grave);
};

struct qs_conn;
struct qs_stream;
struct qs_listener;
struct qs_endpoint;
struct qs_request;
struct qs_cid_entry;
struct qs_reset_token;
struct qs_tls_creds;
struct qs_migrate;
struct qs_worker;

struct qs_relay;
struct qs_envelope;
struct qs_fallback;

#define QS_WORKERS_MAX QS_PAGES_PARTS_MAX /* of a listener, worker 0 counted */

TAILQ_HEAD(qs_conn_list, qs_conn);
TAILQ_HEAD(qs_stream_list, qs_stream);
TAILQ_HEAD(qs_listener_list, qs_listener);
TAILQ_HEAD(qs_endpoint_list, qs_endpoint);
TAILQ_HEAD(qs_request_list, qs_request);
TAILQ_HEAD(qs_relay_list, qs_relay);
TAILQ_HEAD(qs_envelope_list, qs_envelope);
TAILQ_HEAD(qs_fallback_list, qs_fallback);

#define QS_OPENING_SOURCES 256u

struct qs_engine {
	struct qs_identity identity;
	bool thread; /* placement */
	bool alone; /* was a thread: its process has ended (outlive.h) */
	unsigned worker; /* 0 serves the apps' requests; the others only listeners (worker.h) */
	struct qs_worker *workers[QS_WORKERS_MAX - 1]; /* of worker 0; NULL = not started */
	bool stopping;
	volatile sig_atomic_t ending; /* SIGTERM came: serve what there is, take nothing new */
	bool deafened; /* no descriptors are left: our listening sockets wait for the sweep */
	int epfd;
	uint64_t now_ns; /* CLOCK_MONOTONIC, read once a turn; never goes back */
	uint64_t started_ns;
	uint64_t drain_by_ns; /* drain.h; 0 = no end is near */
	uint64_t active_ns; /* last time there was something to serve */
	struct qs_timers timers;
	SLIST_HEAD(, qs_grave) graves;

	struct qs_policy *policy; /* NULL = none could be loaded */
	struct qs_tls_creds **creds; /* one a rule, loaded on demand */
	char policy_fault[512];
	char program[32]; /* of the process that started us */
	uint8_t reset_secret[32]; /* stateless reset tokens of client connections */
	uint8_t cid_key[16]; /* their connection IDs are encrypted with it */
	uint16_t generation; /* in our connection IDs */

	struct qs_privilege privilege;
	struct qs_keepers keepers;

	struct qs_source stream_source; /* listeners of our three sockets */
	struct qs_source control_source;
	struct qs_source status_source;
	struct qs_timer sweep; /* once a second: listeners gone, orphans, idle exit */

	struct qs_pages pages;
	struct qs_will will;
	struct qs_udp_batch batch;
	uint8_t *tx_memory; /* one train being built */

	struct qs_conn_list conns;
	struct qs_conn_list dirty; /* must write before the turn ends */
	struct qs_stream_list readable; /* the app's data waits, and there is room */
	struct qs_stream_list flush; /* data or an end for the app waits */
	struct qs_stream_list backlog; /* accepted streams whose listener's queue is full */
	struct qs_timer backlog_timer;
	struct qs_stream_list held; /* hold.h */
	struct qs_timer held_timer;
	bool accepts_said; /* an app's accept() has told of itself */
	bool accepts_unsaid; /* an app accepts past the shim: nothing is held */
	struct qs_listener_list listeners;
	struct qs_endpoint_list endpoints;
	struct qs_request_list
		requests; /* connects whose header is not whole, or that wait for a handshake */
	struct qs_relay_list relays, relays_ready; /* streams joined to TCP; those with work */
	struct qs_fallback *fallbacks; /* uthash: where QUIC failed */
	struct qs_fallback_list fallbacks_by_age;
	unsigned n_fallbacks;
	struct qs_status_verdict *verdicts; /* ring of QS_VERDICTS_MAX; NULL until the first */
	uint64_t n_verdicts; /* ever */
	struct qs_cid_entry *cids; /* uthash */
	struct qs_reset_token *reset_tokens; /* uthash: of the peers */
	struct qs_migrate *migrate; /* news of the network; NULL = nobody needs them yet */
	struct qs_chunk *free_chunks;
	unsigned n_free_chunks;
	struct qs_source group_source; /* links to engines that share our ports; group.c */
	int group_epfd;
	bool group_waits; /* we wait for others, and serve nothing but links */
	uint8_t *handoff_memory; /* one message being read */
	int probe_fd; /* asks whether a listener is there */
	uint32_t next_listener_id;
	uint64_t next_conn_id;
	uint64_t resets_since_ns; /* stateless resets sent since then */
	struct qs_flood flood; /* first flights */
	unsigned n_resets, n_refusals, n_hints;
	uint64_t refusal_ns; /* when one was last logged */
	unsigned n_streams, n_conns, n_requests, n_strangers, n_controls, n_viewers;
	TAILQ_HEAD(, qs_control_client) controls; /* that have said nothing yet */
	unsigned n_control_strangers;
	unsigned n_opening; /* server connections in the handshake */
	uint16_t opening_from[QS_OPENING_SOURCES]; /* of those, by a hash of the source */
	uid_t refused_uids[16]; /* logged already */
	unsigned n_refused_uids;
	struct qs_status_totals totals;
};

/* Takes both descriptors. `policy_path` may be NULL. 0 or -errno; on failure nothing is held. */
int qs_engine_init(struct qs_engine *engine, const struct qs_identity *identity, bool thread,
		   int stream_fd, int control_fd, const char *policy_path);
/* A worker of `main` (worker.h): no requests of apps, and its part of main's pages and policy. 0 or -errno. */
int qs_engine_init_worker(struct qs_engine *engine, const struct qs_engine *main, unsigned index);
/* Runs until idle for long; as a thread, until its process ends. */
void qs_engine_run(struct qs_engine *engine);
void qs_engine_fini(struct qs_engine *engine);
/* Closes all connections and tells their peers; frees nothing. */
void qs_engine_close(struct qs_engine *engine);
/* No app has anything here that must be served. */
bool qs_engine_idle(const struct qs_engine *engine);
/* How long an idle engine stays: the longest linger of its rules, so that the next connection finds
 * it warm. */
uint64_t qs_engine_linger_ns(const struct qs_engine *engine);

/* epoll on the source's fd. 0 or -errno. */
int qs_source_add(struct qs_engine *engine, struct qs_source *source, uint32_t events);
int qs_source_modify(struct qs_engine *engine, struct qs_source *source, uint32_t events);
/* Removes it from the set and closes the descriptor. */
void qs_source_close(struct qs_engine *engine, struct qs_source *source);
/* accept() on one of our sockets found no descriptor: they rest until the next sweep. */
void qs_engine_deafen(struct qs_engine *engine);
/* Calls fn(grave) at the end of this turn. */
void qs_engine_bury(struct qs_engine *engine, struct qs_grave *grave,
		    void (*fn)(struct qs_grave *grave));

/* The credentials of a rule, loaded at the first call. Borrowed. NULL with a line in `text` (size
 * 512) on failure. */
struct qs_tls_creds *qs_engine_creds(struct qs_engine *engine, const struct qs_rule *rule,
				     char *text);

/* True if the process at the other end is root, our own user, or knows the token. Logs a refusal
 * once a uid. */
bool qs_engine_may(struct qs_engine *engine, int fd, const uint8_t *token);
/* Counts a refused request on one of our sockets; logs at most one a minute. */
void qs_engine_refused(struct qs_engine *engine, const char *socket_name, int pid);

#define qs_container(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
