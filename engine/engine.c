/* SPDX-License-Identifier: MIT */
/* One engine: start, loop, end. */

/*
 * Theory. One thread, one epoll set. A turn: wait; run due timers; handle events (packets are read,
 * streams marked); read what apps wrote; give apps what came; write packets of dirty connections;
 * free what was buried. So a burst of packets costs one acknowledgement, one write to each app, and
 * one clock read. The objects that an event or a list may still name in this turn are freed at its
 * end (qs_engine_bury).
 */
#include "engine.h"

#include "conn.h"
#include "fallback.h"
#include "group.h"
#include "hash.h"
#include "hold.h"
#include "listen.h"
#include "log.h"
#include "migrate.h"
#include "outlive.h"
#include "relay.h"
#include "request.h"
#include "show.h"
#include "stream.h"
#include "tls.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 128
#define PROBE_NS (100 * QS_MSEC)
#define LINGER_DEFAULT_NS (10 * QS_NSEC)
#define ALONE_IDLE_NS QS_NSEC

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
}

int qs_source_add(struct qs_engine *engine, struct qs_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(engine->epfd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

int qs_source_modify(struct qs_engine *engine, struct qs_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(engine->epfd, EPOLL_CTL_MOD, source->fd, &event) < 0 ? -errno : 0;
}

void qs_source_close(struct qs_engine *engine, struct qs_source *source)
{
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, source->fd, NULL);
	close(source->fd);
	source->fd = -1;
}

void qs_engine_deafen(struct qs_engine *engine)
{
	if ((errno != EMFILE && errno != ENFILE) || engine->deafened || engine->stopping)
		return;
	qs_log("no descriptors are left: requests wait");
	engine->deafened = true;
	qs_source_modify(engine, &engine->stream_source, 0);
	qs_source_modify(engine, &engine->control_source, 0);
	qs_source_modify(engine, &engine->status_source, 0);
}

void qs_engine_bury(struct qs_engine *engine, struct qs_grave *grave,
		    void (*fn)(struct qs_grave *grave))
{
	grave->fn = fn;
	SLIST_INSERT_HEAD(&engine->graves, grave, link);
}

struct qs_tls_creds *qs_engine_creds(struct qs_engine *engine, const struct qs_rule *rule,
				     char *text)
{
	size_t index = (size_t)(rule - engine->policy->rules);
	struct qs_tls_error error;

	if (engine->creds[index] == NULL &&
	    qs_tls_creds_new(rule, &engine->creds[index], &error) < 0) {
		snprintf(text, 512, "%.100s:%d: %.380s", engine->policy->path, rule->line,
			 error.text);
		engine->creds[index] = NULL;
	}
	return engine->creds[index];
}

bool qs_engine_may(struct qs_engine *engine, int fd, const uint8_t *token)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	if (token != NULL)
		return qs_token_equal(token, engine->identity.token);
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (cred.uid == 0 || cred.uid == geteuid())
		return true;
	for (unsigned i = 0; i < engine->n_refused_uids; i++) {
		if (engine->refused_uids[i] == cred.uid)
			return false;
	}
	if (engine->n_refused_uids <
	    sizeof(engine->refused_uids) / sizeof(engine->refused_uids[0])) {
		engine->refused_uids[engine->n_refused_uids++] = cred.uid;
		qs_log("uid %u was refused", (unsigned)cred.uid);
	}
	return false;
}

void qs_engine_refused(struct qs_engine *engine, const char *socket_name, int pid)
{
	engine->totals.requests_refused++;
	if (engine->refusal_ns != 0 && engine->now_ns - engine->refusal_ns < 60 * QS_NSEC)
		return;
	engine->refusal_ns = engine->now_ns;
	qs_log("a request on the %s socket was refused (pid %d); more of them are only counted",
	       socket_name, pid);
}

/* --- start --- */

static int load_policy(struct qs_engine *engine, const char *path)
{
	struct qs_policy_error error = {0};

	if (path == NULL)
		return 0;
	if (qs_policy_load(path, geteuid(), &engine->policy, &error) < 0) {
		snprintf(engine->policy_fault, sizeof(engine->policy_fault), "%s", error.text);
		engine->policy = NULL;
		return 0;
	}
	return 0;
}

static int init_creds(struct qs_engine *engine)
{
	if (engine->policy == NULL)
		return 0;
	engine->creds = calloc(engine->policy->n_rules + 1, sizeof(struct qs_tls_creds *));
	return engine->creds != NULL ? 0 : -ENOMEM;
}

/* The most that a section asks for. */
static unsigned workers_of(const struct qs_engine *engine)
{
	unsigned most = 1;

	for (unsigned i = 0; engine->policy != NULL && i < engine->policy->n_rules; i++) {
		const struct qs_rule *rule = &engine->policy->rules[i];

		if (rule->listen && rule->workers > most)
			most = rule->workers;
	}
	return engine->thread ? 1 : most;
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < QS_SLOTS_MAX + 64) {
		limit.rlim_cur = limit.rlim_max = QS_SLOTS_MAX + 64;
		setrlimit(RLIMIT_NOFILE, &limit); /* root may */
	}
}

static void sweep(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_engine *engine = qs_container(timer, struct qs_engine, sweep);
	struct qs_endpoint *endpoint;
	struct qs_conn *conn, *next_conn;

	if (engine->alone)
		qs_outlive_alive();
	if (engine->deafened) {
		engine->deafened = false;
		qs_source_modify(engine, &engine->stream_source, EPOLLIN);
		qs_source_modify(engine, &engine->control_source, EPOLLIN);
		qs_source_modify(engine, &engine->status_source, EPOLLIN);
	}
	qs_listener_probe_all(engine);
	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	qs_endpoint_sweep(endpoint);
	for (conn = TAILQ_FIRST(&engine->conns); conn != NULL; conn = next_conn) {
		next_conn = TAILQ_NEXT(conn, link_all);
		qs_conn_sweep(conn);
	}
	qs_relay_sweep(engine);
	qs_request_sweep(engine);
	qs_privilege_sweep(engine);
	qs_timer_set(&engine->timers, timer,
		     now_ns + (TAILQ_EMPTY(&engine->listeners) ? QS_NSEC : PROBE_NS));
}

static void init_lists(struct qs_engine *engine)
{
	SLIST_INIT(&engine->graves);
	TAILQ_INIT(&engine->conns);
	TAILQ_INIT(&engine->dirty);
	TAILQ_INIT(&engine->readable);
	TAILQ_INIT(&engine->flush);
	TAILQ_INIT(&engine->backlog);
	TAILQ_INIT(&engine->held);
	TAILQ_INIT(&engine->listeners);
	TAILQ_INIT(&engine->endpoints);
	TAILQ_INIT(&engine->requests);
	TAILQ_INIT(&engine->relays);
	TAILQ_INIT(&engine->relays_ready);
	TAILQ_INIT(&engine->fallbacks_by_age);
}

static int open_status(struct qs_engine *engine)
{
	struct sockaddr_un addr;
	socklen_t len =
		qs_control_address(&addr, engine->identity.id + engine->worker, QS_CHANNEL_STATUS);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 64) < 0) {
		close(fd);
		return -errno;
	}
	engine->status_source = (struct qs_source){.fd = fd, .fn = qs_show_accept};
	return qs_source_add(engine, &engine->status_source, EPOLLIN);
}

static int take_sockets(struct qs_engine *engine, int stream_fd, int control_fd)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	int rv;

	/* A listener's peer credentials are those of the process that called listen(): the shim's.
	 */
	getsockopt(stream_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	qs_show_program(cred.pid, engine->program);
	engine->stream_source = (struct qs_source){.fd = stream_fd, .fn = qs_request_accept_stream};
	engine->control_source =
		(struct qs_source){.fd = control_fd, .fn = qs_request_accept_control};
	fcntl(stream_fd, F_SETFL, O_NONBLOCK);
	fcntl(control_fd, F_SETFL, O_NONBLOCK);
	rv = qs_source_add(engine, &engine->stream_source, EPOLLIN);
	if (rv == 0)
		rv = qs_source_add(engine, &engine->control_source, EPOLLIN);
	if (rv == 0 && open_status(engine) < 0)
		qs_log("no status socket: quicshim-status won't see this engine");
	return rv;
}

/* What every worker has. */
static int init_own(struct qs_engine *engine)
{
	int rv;

	engine->epfd = epoll_create1(EPOLL_CLOEXEC);
	rv = engine->epfd < 0 ? -errno : 0;
	if (rv == 0 && (getrandom(&engine->generation, sizeof(engine->generation), 0) < 0 ||
			getrandom(engine->cid_key, sizeof(engine->cid_key), 0) < 0))
		rv = -errno;
	if (rv == 0)
		rv = qs_udp_batch_init(&engine->batch);
	if (rv == 0) {
		engine->tx_memory = mmap(NULL, 2 * QS_UDP_TRAIN_MAX, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		rv = engine->tx_memory == MAP_FAILED ? -ENOMEM : 0;
	}
	if (rv == 0)
		rv = init_creds(engine);
	if (rv == 0)
		rv = qs_timer_set(&engine->timers, &engine->sweep, engine->now_ns + PROBE_NS);
	return rv;
}

static void init_fields(struct qs_engine *engine, const struct qs_identity *identity)
{
	memset(engine, 0, sizeof(*engine));
	init_lists(engine);
	engine->identity = *identity;
	engine->epfd = engine->status_source.fd = engine->stream_source.fd =
		engine->control_source.fd = -1;
	engine->now_ns = engine->started_ns = engine->active_ns = clock_ns();
	engine->sweep.fn = sweep;
	engine->backlog_timer.fn = qs_listener_retry;
	engine->held_timer.fn = qs_hold_expire;
}

int qs_engine_init(struct qs_engine *engine, const struct qs_identity *identity, bool thread,
		   int stream_fd, int control_fd, const char *policy_path)
{
	int rv = 0;

	init_fields(engine, identity);
	engine->thread = thread;
	if (!thread) /* a thread shares the app's limits */
		raise_limit();
	if (getrandom(engine->reset_secret, sizeof(engine->reset_secret), 0) < 0)
		rv = -errno;
	if (rv == 0)
		rv = qs_hash_init();
	if (rv == 0)
		rv = load_policy(engine, policy_path);
	if (rv == 0)
		rv = qs_pages_init(&engine->pages, identity->id, workers_of(engine));
	if (rv == 0)
		rv = init_own(engine);
	if (rv == 0)
		rv = take_sockets(engine, stream_fd, control_fd);
	return rv;
}

int qs_engine_init_worker(struct qs_engine *engine, const struct qs_engine *main, unsigned index)
{
	int rv;

	init_fields(engine, &main->identity);
	engine->worker = index;
	engine->policy = main->policy;
	memcpy(engine->reset_secret, main->reset_secret, sizeof(engine->reset_secret));
	memcpy(engine->program, main->program, sizeof(engine->program));
	rv = qs_pages_share(&engine->pages, &main->pages, index);
	if (rv == 0)
		rv = init_own(engine);
	if (rv == 0)
		open_status(engine);
	return rv;
}

/* --- loop --- */

bool qs_engine_idle(const struct qs_engine *engine)
{
	return engine->n_streams == 0 && TAILQ_EMPTY(&engine->listeners) &&
	       engine->n_requests == 0 && engine->n_controls == 0 && !qs_workers_busy(engine);
}

uint64_t qs_engine_linger_ns(const struct qs_engine *engine)
{
	uint64_t longest = 0;

	if (engine->policy == NULL)
		return LINGER_DEFAULT_NS;
	for (unsigned i = 0; i < engine->policy->n_rules; i++) {
		if (!engine->policy->rules[i].listen &&
		    engine->policy->rules[i].linger_ns > longest)
			longest = engine->policy->rules[i].linger_ns;
	}
	return longest ? longest : LINGER_DEFAULT_NS;
}

/* One that lost its process holds memory of a program that is no more. */
static uint64_t stay_ns(const struct qs_engine *engine)
{
	return engine->alone ? ALONE_IDLE_NS : qs_engine_linger_ns(engine);
}

/* In whole milliseconds, rounded up, where the kernel is too old for better, or a sandbox does not know the call. */
static int wait_for_events(int epfd, struct epoll_event *events, const struct timespec *timeout)
{
	int n = epoll_pwait2(epfd, events, EVENTS, timeout, NULL);

	if (n >= 0 || (errno != ENOSYS && errno != EPERM))
		return n;
	return epoll_wait(
		epfd, events, EVENTS,
		timeout ? (int)(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000)
			: -1);
}

static void wait_and_handle(struct qs_engine *engine)
{
	struct epoll_event events[EVENTS];
	uint64_t next = qs_timers_next(&engine->timers), now = clock_ns();
	struct timespec ts = {0}, *timeout = NULL;
	int n;

	if (!TAILQ_EMPTY(&engine->dirty) || !TAILQ_EMPTY(&engine->readable) ||
	    !TAILQ_EMPTY(&engine->flush) || !TAILQ_EMPTY(&engine->relays_ready)) {
		timeout = &ts;
	} else if (next != UINT64_MAX) {
		uint64_t left = next > now ? next - now : 0;

		ts = (struct timespec){.tv_sec = (time_t)(left / QS_NSEC),
				       .tv_nsec = (long)(left % QS_NSEC)};
		timeout = &ts;
	}
	n = wait_for_events(engine->epfd, events, timeout);
	now = clock_ns();
	if (now > engine->now_ns)
		engine->now_ns = now;
	qs_timers_run(&engine->timers, engine->now_ns);
	for (int i = 0; i < n; i++) {
		struct qs_source *source = events[i].data.ptr;

		if (source->fd >= 0) /* an earlier event may have closed it */
			source->fn(source, events[i].events);
	}
}

/* The lists may grow while they are served; what is added waits for the next turn where it can't be
 * served now. */
static void serve_apps(struct qs_engine *engine)
{
	struct qs_stream *stream, *last;

	last = TAILQ_LAST(&engine->flush, qs_stream_list);
	while ((stream = TAILQ_FIRST(&engine->flush)) != NULL) {
		bool end = stream == last;

		qs_stream_push(stream);
		if (end)
			break;
	}
	last = TAILQ_LAST(&engine->readable, qs_stream_list);
	while ((stream = TAILQ_FIRST(&engine->readable)) != NULL) {
		bool end = stream == last;

		qs_stream_pull(stream);
		if (end)
			break;
	}
}

static void write_conns(struct qs_engine *engine)
{
	struct qs_conn *conn, *last = TAILQ_LAST(&engine->dirty, qs_conn_list);

	while ((conn = TAILQ_FIRST(&engine->dirty)) != NULL) {
		bool end = conn == last;

		qs_conn_write(conn);
		if (end)
			break;
	}
}

static void empty_graves(struct qs_engine *engine)
{
	while (!SLIST_EMPTY(&engine->graves)) {
		struct qs_grave *grave = SLIST_FIRST(&engine->graves);

		SLIST_REMOVE_HEAD(&engine->graves, link);
		grave->fn(grave);
	}
}

/*
 * No more is taken in: connects are refused from here on, and the shim starts another engine. What
 * had been queued before is served; it may keep this engine for a while yet.
 */
static void shut_door(struct qs_engine *engine)
{
	engine->stopping = true;
	shutdown(engine->stream_source.fd, SHUT_RD);
	shutdown(engine->control_source.fd, SHUT_RD);
	engine->active_ns = engine->now_ns;
	qs_request_accept_stream(&engine->stream_source, 0);
	qs_request_accept_control(&engine->control_source, 0);
	qs_source_close(engine, &engine->control_source);
	qs_source_close(engine, &engine->stream_source);
	if (engine->status_source.fd >= 0)
		qs_source_close(engine, &engine->status_source);
}

void qs_engine_run(struct qs_engine *engine)
{
	for (;;) {
		wait_and_handle(engine);
		serve_apps(engine);
		qs_relay_serve(engine);
		write_conns(engine);
		empty_graves(engine);
		if (qs_outlive_turn(engine))
			return;
		if (engine->worker > 0) {
			if (qs_worker_turn(engine, qs_engine_idle(engine)))
				return;
		} else if (!qs_engine_idle(engine)) {
			engine->active_ns = engine->now_ns;
		} else if (engine->stopping) {
			return;
		} else if (!engine->thread &&
			   (engine->ending ||
			    (engine->now_ns - engine->active_ns > stay_ns(engine) &&
			     !qs_keeper_any(&engine->keepers)))) {
			shut_door(engine);
		}
	}
}

void qs_engine_close(struct qs_engine *engine)
{
	struct qs_conn *conn;

	qs_workers_end(engine);
	while ((conn = TAILQ_FIRST(&engine->conns)) != NULL) {
		if (conn->state != QS_CONNECTION_CLOSING)
			qs_conn_close_idle(conn);
		qs_conn_drop(conn, 0);
	}
	empty_graves(engine);
}

void qs_engine_fini(struct qs_engine *engine)
{
	qs_engine_close(engine);
	qs_fallback_fini(engine);
	for (unsigned i = 0; engine->creds != NULL && i < engine->policy->n_rules; i++)
		qs_tls_creds_unref(engine->creds[i]);
	free(engine->creds);
	if (engine->worker == 0)
		qs_policy_free(engine->policy);
	while (engine->free_chunks != NULL) {
		struct qs_chunk *chunk = engine->free_chunks;

		engine->free_chunks = chunk->next;
		free(chunk);
	}
	qs_group_fini(engine);
	qs_will_fini(engine);
	qs_migrate_close(engine);
	qs_timers_fini(&engine->timers);
	qs_udp_batch_fini(&engine->batch);
	qs_pages_fini(&engine->pages);
	munmap(engine->tx_memory, 2 * QS_UDP_TRAIN_MAX);
	if (engine->epfd >= 0)
		close(engine->epfd);
	if (engine->stream_source.fd >= 0)
		close(engine->stream_source.fd);
	if (engine->control_source.fd >= 0)
		close(engine->control_source.fd);
	if (engine->status_source.fd >= 0)
		close(engine->status_source.fd);
}
