/* SPDX-License-Identifier: MIT */
/* Listeners of apps, and the UDP endpoints that serve them and the clients. Engine thread only. */
#ifndef QS_LISTEN_H
#define QS_LISTEN_H

#include "engine.h"

/* One UDP socket. A server's is shared by its listeners; a client's by connections of the same
 * source. */
struct qs_endpoint {
	struct qs_source source;
	struct qs_grave grave;
	struct qs_udp udp;
	struct qs_engine *engine;
	TAILQ_ENTRY(qs_endpoint) link;
	bool server, want_out;
	struct qs_addr address; /* as asked for */
	uint32_t mark;
	char device[16];
	const struct qs_rule *rule; /* server */
	int lock_fd; /* server: the name that keeps others of us off this address; -1 */
	unsigned n_listeners, n_conns;
};

/* A listening socket of an app. */
struct qs_listener {
	struct qs_engine *engine;
	struct qs_grave grave;
	TAILQ_ENTRY(qs_listener) link;
	struct qs_endpoint *endpoints[2]; /* IPv4 and IPv6 for a dual-stack one */
	int path_fd; /* O_PATH: connects go through /proc/thread-self/fd */
	int tcp_fd; /* the app's TCP socket: bound, never listening, keeps the port ours */
	struct qs_source process; /* pidfd of the process that called listen() */
	struct qs_addr address;
	const struct qs_rule *rule;
	struct qs_options options;
	int32_t pid;
	uint32_t slot; /* says the address, and keeps the options */
	uint64_t accepted, refused;
	uint64_t full_ns; /* when its queue was last found full */
	unsigned n_backlog; /* streams that wait for it */
};

/* A listen() of an app: takes tcp_fd. On success *out_fd is the AF_UNIX listener that the app gets
 * (the caller closes it). 0 or -errno with a line in `text` (size 512). */
int qs_listener_new(struct qs_engine *engine, int tcp_fd, int backlog,
		    const struct qs_options *options, int32_t pid, int *out_fd, char *text);
/* Ends it if the app's socket is gone. True if it ended. */
bool qs_listener_probe(struct qs_listener *listener);
void qs_listener_probe_all(struct qs_engine *engine);
void qs_listener_free(struct qs_listener *listener);
/* The address that leads to the app's listener, by our O_PATH descriptor. Returns its length. */
socklen_t qs_listener_path(const struct qs_listener *listener, struct sockaddr_un *out);
/* A new stream: connects it to a listener of the endpoint, or puts it into the backlog list, or
 * refuses it. */
void qs_listener_deliver(struct qs_conn *conn, int64_t stream_id);
/* Tries the backlog list again. */
void qs_listener_retry(struct qs_timer *timer, uint64_t now_ns);

/* Finds or opens the client endpoint for a connection. 0 or -errno. */
int qs_endpoint_client(struct qs_engine *engine, int family, const struct qs_addr *source,
		       uint32_t mark, const char *device, struct qs_endpoint **out);
/* Opens or shares the server endpoint. 0 or -errno. */
int qs_endpoint_server(struct qs_engine *engine, const struct qs_addr *address,
		       const struct qs_rule *rule, struct qs_endpoint **out);
/*
 * Its last listener is gone, but connections live on: each gets a socket of its own, connected to its peer, which the
 * kernel prefers, and the address is free for the next server. Release follows.
 */
void qs_endpoint_retire(struct qs_endpoint *endpoint);
void qs_endpoint_release(struct qs_endpoint *endpoint); /* after n_listeners or n_conns went down */
/* Sends; keeps in conn->pending what the kernel has no room for. True if all went. */
bool qs_endpoint_send(struct qs_endpoint *endpoint, struct qs_conn *conn,
		      const struct qs_udp_train *train);

#endif
