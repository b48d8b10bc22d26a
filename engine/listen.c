/* SPDX-License-Identifier: MIT */
/* Listeners of apps: AF_UNIX listeners that stand in for TCP ones, and the streams that go to them.
 */

/*
 * Theory. The app gets a real AF_UNIX listener (DESIGN R4). It is bound in a private directory to a
 * path that is unlinked at once; the engine keeps an O_PATH descriptor and connects through
 * /proc/thread-self/fd, so that no stranger can. accept(), the backlog, EMFILE, shutdown and
 * several workers are then the kernel's own. Nothing tells when the last copy of the app's listener
 * is closed. Connecting a socket of the wrong type tells without side effect: EPROTOTYPE while it
 * lives, ECONNREFUSED when it is gone. That is asked when the process that called listen() exits
 * (pidfd), and ten times a second (a fork may hold it).
 * In mode quic the app's TCP socket is kept bound and never listens: the port stays ours, and TCP
 * gets RST; one that a service manager made listen goes on, and each that comes there gets RST. In mode prefer it listens, and what it accepts goes to the app in envelopes (envelope.c).
 */
#include "listen.h"

#include "conn.h"
#include "envelope.h"
#include "errmap.h"
#include "group.h"
#include "log.h"
#include "show.h"
#include "stream.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif

/* --- birth --- */

static int bind_in(const char *base, int fd, int *path_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char dir[64];
	int rv = -1;

	snprintf(dir, sizeof(dir), "%s/quicshim-XXXXXX", base);
	if (mkdtemp(dir) == NULL)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", dir);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
		/* The folder keeps all others out; we may be another user when we connect. */
		chmod(addr.sun_path, 0666);
		*path_fd = open(addr.sun_path, O_PATH | O_CLOEXEC);
		rv = *path_fd >= 0 ? 0 : -errno;
		unlink(addr.sun_path);
	} else {
		rv = -errno;
	}
	rmdir(dir);
	return rv;
}

/* The AF_UNIX listener and the engine's way to it. Returns the descriptor for the app or -errno. */
static int make_listener(struct qs_listener *listener, int backlog, bool v6)
{
	static const char *const bases[] = {"/run", "/dev/shm", "/tmp", "/var/tmp"};
	struct qs_mark mark = {.state = QS_MARK_LISTENER, .v6 = v6, .slot = listener->slot};
	uint64_t value;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rv = -EACCES;

	if (fd < 0)
		return -errno;
	mark.generation = qs_pages_slot(&listener->engine->pages, listener->slot)->generation;
	value = qs_mark_encode(&mark);
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]) && rv < 0; i++)
		rv = bind_in(bases[i], fd, &listener->path_fd);
	if (rv == 0 && (listen(fd, backlog) < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, sizeof(value)) < 0))
		rv = -errno;
	if (rv < 0) {
		close(fd);
		return rv;
	}
	return fd;
}

static bool is_v6only(int fd)
{
	int on = 1;
	socklen_t len = sizeof(on);

	return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &len) < 0 || on;
}

/* A v4-mapped address is IPv4 on the wire. */
static void unmap(struct qs_addr *addr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t ip[4];

	if (addr->family != AF_INET6 || memcmp(addr->ip, mapped, sizeof(mapped)) != 0)
		return;
	memcpy(ip, addr->ip + 12, sizeof(ip));
	*addr = (struct qs_addr){.family = AF_INET, .port = addr->port};
	memcpy(addr->ip, ip, sizeof(ip));
}

/* Which UDP addresses serve this listener: one, or two for a dual-stack one. */
static unsigned endpoint_addresses(const struct qs_listener *listener, struct qs_addr out[2])
{
	const struct qs_rule *rule = listener->rule;
	bool any = true,
	     v6only = listener->address.family != AF_INET6 || is_v6only(listener->tcp_fd);
	unsigned n = 1;

	out[0] = listener->address;
	if (rule->has_endpoint_addr)
		qs_addr_from_sockaddr(&out[0], (const struct sockaddr *)&rule->endpoint,
				      sizeof(rule->endpoint));
	else if (rule->endpoint_any)
		memset(out[0].ip, 0, sizeof(out[0].ip));
	unmap(&out[0]);
	out[0].port = rule->endpoint_port ? rule->endpoint_port : listener->address.port;
	for (size_t i = 0; i < sizeof(out[0].ip); i++)
		any = any && out[0].ip[i] == 0;
	if (out[0].family == AF_INET6 && any && !v6only) {
		out[1] = (struct qs_addr){.family = AF_INET, .port = out[0].port};
		n = 2;
	}
	return n;
}

/* Those that are gone don't count. */
static void probe_others(struct qs_listener *listener)
{
	struct qs_listener *other, *next;

	for (other = TAILQ_FIRST(&listener->engine->listeners); other != NULL; other = next) {
		next = TAILQ_NEXT(other, link);
		if (other != listener)
			qs_listener_probe(other);
	}
}

/* Says that it is there, and asks whether that may be. */
static int enter(struct qs_listener *listener, struct qs_endpoint *endpoint, char *text)
{
	struct timespec ts;
	int rv;

	if (listener->since_ns == 0) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		listener->since_ns = (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
	}
	rv = qs_endpoint_publish(endpoint);
	if (rv == -ENOSPC)
		snprintf(text, 512, "%s:%d: more than %u server names on one UDP address",
			 listener->engine->policy->path, listener->rule->line, QS_GROUP_SERVES_MAX);
	return rv < 0 ? rv : qs_endpoint_judge(endpoint, listener, text);
}

static int open_endpoints(struct qs_listener *listener, char *text)
{
	struct qs_addr addresses[2];
	unsigned n = endpoint_addresses(listener, addresses);
	int rv = 0;

	probe_others(listener);
	for (unsigned i = 0; i < n && rv == 0; i++) {
		rv = qs_endpoint_server(listener->engine, &addresses[i], listener->rule,
					&listener->endpoints[i], text);
		if (rv < 0 && text[0] == '\0')
			snprintf(text, 512,
				 "%s:%d: the UDP endpoint of this listener can't be bound: %s",
				 listener->engine->policy->path, listener->rule->line,
				 strerrorname_np(-rv));
		if (rv < 0)
			return rv;
		listener->endpoints[i]->n_listeners++;
		rv = enter(listener, listener->endpoints[i], text);
	}
	if (rv < 0)
		return rv;
	listener->tentative = false;
	for (unsigned i = 0; i < n && rv == 0; i++)
		rv = qs_endpoint_publish(listener->endpoints[i]);
	/* Once we return, the app may stop another, whose engine must know by then where to send its clients. */
	for (unsigned i = 0; i < n && rv == 0; i++)
		qs_member_sync(listener->endpoints[i]->member);
	return rv;
}

static void process_ended(struct qs_source *source, uint32_t events)
{
	struct qs_listener *listener = qs_container(source, struct qs_listener, process);

	(void)events;
	/* Readable for ever: once is enough. */
	qs_source_close(listener->engine, source);
	qs_listener_probe(listener);
}

static void look_at_socket(struct qs_listener *listener)
{
	socklen_t len = sizeof(int);
	int on = 0;

	getsockopt(listener->tcp_fd, SOL_SOCKET, SO_REUSEPORT, &on, &len);
	listener->reuseport = on != 0;
	len = sizeof(listener->cookie);
	getsockopt(listener->tcp_fd, SOL_SOCKET, SO_COOKIE, &listener->cookie, &len);
	qs_show_program(listener->pid, listener->program);
}

/* Checks that it is a bound TCP socket that the policy maps. 0 or -errno with a line in `text`. */
static int judge(struct qs_listener *listener, char *text)
{
	struct qs_engine *engine = listener->engine;
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa), optlen = sizeof(int);
	int type = 0;

	if (getsockopt(listener->tcp_fd, SOL_SOCKET, SO_TYPE, &type, &optlen) < 0 ||
	    type != SOCK_STREAM ||
	    getsockname(listener->tcp_fd, (struct sockaddr *)&sa, &len) < 0 ||
	    qs_addr_from_sockaddr(&listener->address, (struct sockaddr *)&sa, len) < 0)
		return -EINVAL;
	if (engine->policy != NULL)
		listener->rule = qs_policy_find_listen(engine->policy, (struct sockaddr *)&sa);
	if (!qs_rule_maps(listener->rule)) {
		snprintf(text, 512, "%s",
			 engine->policy != NULL
				 ? "the engine's policy has no rule for this listener"
				 : engine->policy_fault);
		return -EACCES;
	}
	if (qs_engine_creds(engine, listener->rule, text) == NULL)
		return -EACCES;
	return 0;
}

/* The app asks the slot for its address, as with a stream. */
static int take_slot(struct qs_listener *listener)
{
	struct qs_pages *pages = &listener->engine->pages;
	struct qs_slot *slot;

	listener->slot = qs_pages_take(pages, true, &listener->options);
	if (listener->slot == QS_SLOT_NONE)
		return -ENOBUFS;
	slot = qs_pages_slot(pages, listener->slot);
	qs_slot_begin(slot);
	slot->state = QS_SLOT_OPEN;
	slot->local = listener->address;
	slot->rule_line = (uint32_t)listener->rule->line;
	qs_slot_end(slot);
	return 0;
}

static int watch_tcp(struct qs_listener *listener, int backlog)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	if (listener->rule->mode == QS_MODE_PREFER)
		return qs_envelope_listen(listener, backlog);
	getsockopt(listener->tcp_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	return listens ? qs_envelope_turn_away(listener) : 0;
}

int qs_listener_new(struct qs_engine *engine, int tcp_fd, int backlog,
		    const struct qs_options *options, int32_t pid, int *out_fd, char *text)
{
	struct qs_listener *listener = calloc(1, sizeof(*listener));
	int rv;

	text[0] = '\0';
	*out_fd = -1;
	if (listener == NULL) {
		close(tcp_fd);
		return -ENOMEM;
	}
	*listener = (struct qs_listener){
		.engine = engine, .path_fd = -1, .tcp_fd = tcp_fd, .pid = pid, .options = *options};
	listener->id = ++engine->next_listener_id;
	listener->tentative = true;
	look_at_socket(listener);
	listener->process = (struct qs_source){.fd = -1, .fn = process_ended};
	listener->tcp.fd = -1;
	TAILQ_INIT(&listener->envelopes);
	listener->slot = QS_SLOT_NONE;
	TAILQ_INSERT_TAIL(&engine->listeners, listener, link);
	rv = judge(listener, text);
	if (rv == 0)
		rv = take_slot(listener);
	if (rv == 0)
		rv = *out_fd =
			make_listener(listener, backlog, listener->address.family == AF_INET6);
	/* Only now: connections may come while the endpoints' siblings are asked. */
	if (rv >= 0)
		rv = open_endpoints(listener, text);
	if (rv >= 0)
		rv = watch_tcp(listener, backlog);
	if (rv < 0) {
		if (*out_fd >= 0)
			close(*out_fd);
		qs_listener_free(listener);
		return rv;
	}
	listener->process.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (listener->process.fd >= 0)
		qs_source_add(engine, &listener->process, EPOLLIN);
	qs_workers_listen(engine, listener);
	qs_log("listening for pid %d on port %u", pid, listener->address.port);
	return 0;
}

/* Whether it may be there was judged by worker 0. */
static int open_shared(struct qs_listener *listener)
{
	struct qs_addr addresses[2];
	unsigned n = endpoint_addresses(listener, addresses);
	char text[512];
	int rv = 0;

	/* Now, while the process may still read them (DESIGN D5): it may be about to drop its privileges. */
	if (qs_engine_creds(listener->engine, listener->rule, text) == NULL) {
		qs_log("worker %u: %s", listener->engine->worker, text);
		return -EACCES;
	}
	for (unsigned i = 0; i < n && rv == 0; i++) {
		rv = qs_endpoint_server(listener->engine, &addresses[i], listener->rule,
					&listener->endpoints[i], text);
		if (rv < 0)
			return rv;
		listener->endpoints[i]->n_listeners++;
		rv = qs_endpoint_publish(listener->endpoints[i]);
	}
	return rv;
}

int qs_listener_share(struct qs_engine *engine, const struct qs_listener *of)
{
	struct qs_listener *listener = calloc(1, sizeof(*listener));
	int rv = 0;

	if (listener == NULL)
		return -ENOMEM;
	*listener = (struct qs_listener){.engine = engine,
					 .shared = true,
					 .path_fd = fcntl(of->path_fd, F_DUPFD_CLOEXEC, 0),
					 .tcp_fd = fcntl(of->tcp_fd, F_DUPFD_CLOEXEC, 0),
					 .process.fd = -1,
					 .tcp.fd = -1,
					 .address = of->address,
					 .rule = of->rule,
					 .options = of->options,
					 .pid = of->pid,
					 .id = ++engine->next_listener_id,
					 .since_ns = of->since_ns,
					 .cookie = of->cookie,
					 .reuseport = of->reuseport,
					 .slot = of->slot};
	TAILQ_INIT(&listener->envelopes);
	memcpy(listener->program, of->program, sizeof(listener->program));
	TAILQ_INSERT_TAIL(&engine->listeners, listener, link);
	if (listener->path_fd < 0 || listener->tcp_fd < 0)
		rv = -EMFILE;
	if (rv == 0)
		rv = open_shared(listener);
	if (rv < 0)
		qs_listener_free(listener);
	return rv;
}

static void listener_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_listener, grave));
}

void qs_listener_free(struct qs_listener *listener)
{
	struct qs_engine *engine = listener->engine;
	struct qs_stream *stream, *next;

	for (stream = TAILQ_FIRST(&engine->backlog); stream != NULL; stream = next) {
		next = TAILQ_NEXT(stream, backlog_link);
		if (stream->listener == listener) {
			TAILQ_REMOVE(&engine->backlog, stream, backlog_link);
			stream->in_backlog = false;
			stream->listener = NULL;
			qs_stream_fail(stream, 0,
				       stream->conn != NULL ? qs_listener_refusal(stream->conn)
							    : QS_APP_REFUSED);
		}
	}
	TAILQ_REMOVE(&engine->listeners, listener, link);
	qs_envelope_stop(listener);
	for (int i = 0; i < 2; i++) {
		if (listener->endpoints[i] != NULL) {
			listener->endpoints[i]->n_listeners--;
			qs_endpoint_publish(listener->endpoints[i]);
			qs_endpoint_retire(listener->endpoints[i]);
			qs_endpoint_release(listener->endpoints[i]);
		}
	}
	if (listener->slot != QS_SLOT_NONE && !listener->shared)
		qs_pages_release(&engine->pages, listener->slot);
	if (listener->process.fd >= 0)
		qs_source_close(engine, &listener->process);
	if (listener->path_fd >= 0)
		close(listener->path_fd);
	if (listener->tcp_fd >= 0)
		close(listener->tcp_fd);
	engine->active_ns = engine->now_ns;
	qs_engine_bury(engine, &listener->grave, listener_grave);
}

bool qs_listener_probe(struct qs_listener *listener)
{
	struct qs_engine *engine = listener->engine;
	struct sockaddr_un addr;
	socklen_t len = qs_listener_path(listener, &addr);
	bool gone;

	/* A socket of another kind, which nothing can connect: it serves again and again, also where no descriptor is left. */
	gone = connect(engine->probe_fd, (struct sockaddr *)&addr, len) < 0 &&
	       errno == ECONNREFUSED;
	if (gone) {
		qs_log("the listener on port %u is gone", listener->address.port);
		qs_listener_free(listener);
	}
	return gone;
}

void qs_listener_probe_all(struct qs_engine *engine)
{
	struct qs_listener *listener, *next;

	for (listener = TAILQ_FIRST(&engine->listeners); listener != NULL; listener = next) {
		next = TAILQ_NEXT(listener, link);
		qs_listener_probe(listener);
	}
}
