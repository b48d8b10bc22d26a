/* SPDX-License-Identifier: MIT */
/* Listeners of apps. Engine thread only. */
#ifndef QS_LISTEN_H
#define QS_LISTEN_H

#include "endpoint.h"
#include "engine.h"

/* A listening socket of an app. */
struct qs_listener {
	struct qs_engine *engine;
	struct qs_grave grave;
	TAILQ_ENTRY(qs_listener) link;
	struct qs_endpoint *endpoints[2]; /* IPv4 and IPv6 for a dual-stack one */
	int path_fd; /* O_PATH: connects go through /proc/thread-self/fd */
	int tcp_fd; /* the app's TCP socket, keeps the port ours; listens in mode prefer, or if it did before */
	/* Where it listens: envelope.c */
	struct qs_source tcp; /* the same; -1 = not watched */
	struct qs_timer tcp_timer; /* accepting pauses until then */
	struct qs_envelope_list envelopes; /* what the app has not opened yet */
	struct qs_envelope *held; /* one of them that its queue has no room for */
	struct qs_source process; /* pidfd of the process that called listen() */
	struct qs_addr address;
	const struct qs_rule *rule;
	struct qs_options options;
	int32_t pid;
	uint32_t id; /* in what other engines are told; never 0 */
	uint64_t since_ns, cookie; /* when it came; SO_COOKIE of tcp_fd */
	bool reuseport; /* tcp_fd has SO_REUSEPORT */
	bool tentative; /* whether it may be there is being asked */
	bool gone; /* seen where it could not be ended: the sweep will */
	char program[32];
	bool shared; /* worker 0's (worker.h), who owns the slot */
	uint32_t slot; /* says the address, and keeps the options */
	uint64_t accepted, refused, accepted_tcp;
	uint64_t full_ns; /* when its queue was last found full */
	unsigned n_backlog; /* streams that wait for it */
};

/* A listen() of an app: takes tcp_fd. On success *out_fd is the AF_UNIX listener that the app gets
 * (the caller closes it). 0 or -errno with a line in `text` (size 512). */
int qs_listener_new(struct qs_engine *engine, int tcp_fd, int backlog,
		    const struct qs_options *options, int32_t pid, int *out_fd, char *text);
/* Opens a listener of worker 0 in this worker too. 0 or -errno. */
int qs_listener_share(struct qs_engine *engine, const struct qs_listener *of);
/* Ends it if the app's socket is gone. True if it ended. */
bool qs_listener_probe(struct qs_listener *listener);
void qs_listener_probe_all(struct qs_engine *engine);
void qs_listener_free(struct qs_listener *listener);
/* The address that leads to the app's listener, by our O_PATH descriptor. Returns its length. */
socklen_t qs_listener_path(const struct qs_listener *listener, struct sockaddr_un *out);
bool qs_listener_serves(const struct qs_listener *listener, const struct qs_endpoint *endpoint);
/* A listener of the endpoint with this rule, or with this id; NULL if there is none. */
struct qs_listener *qs_listener_find(struct qs_engine *engine, const struct qs_endpoint *endpoint,
				     const struct qs_rule *rule);
struct qs_listener *qs_listener_by_id(struct qs_engine *engine, const struct qs_endpoint *endpoint,
				      uint32_t id);
/* The code for a stream that no listener of ours takes: QS_APP_MOVED if a sibling's would. */
uint64_t qs_listener_refusal(const struct qs_conn *conn);
/* A new stream: connects it to a listener of the endpoint, or puts it into the backlog list, or
 * refuses it. */
void qs_listener_deliver(struct qs_conn *conn, int64_t stream_id);
/* Tries the backlog list again. */
void qs_listener_retry(struct qs_timer *timer, uint64_t now_ns);

#endif
