/* SPDX-License-Identifier: MIT */
/* One engine: start, end, and what its parts share. */
#include "engine.h"

#include "conn.h"
#include "fallback.h"
#include "group.h"
#include "hash.h"
#include "hold.h"
#include "listen.h"
#include "log.h"
#include "loop.h"
#include "migrate.h"
#include "request.h"
#include "show.h"
#include "stream.h"
#include "tls.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

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

static void init_lists(struct qs_engine *engine)
{
	SLIST_INIT(&engine->graves);
	TAILQ_INIT(&engine->conns);
	TAILQ_INIT(&engine->dirty);
	TAILQ_INIT(&engine->readable);
	TAILQ_INIT(&engine->controls);
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
	engine->probe_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rv = engine->epfd < 0 || engine->probe_fd < 0 ? -errno : 0;
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
		rv = qs_timer_set(&engine->timers, &engine->sweep,
				  engine->now_ns + QS_LOOP_SWEEP_NS);
	return rv;
}

static void init_fields(struct qs_engine *engine, const struct qs_identity *identity)
{
	memset(engine, 0, sizeof(*engine));
	init_lists(engine);
	engine->identity = *identity;
	engine->probe_fd = -1;
	engine->epfd = engine->status_source.fd = engine->stream_source.fd =
		engine->control_source.fd = -1;
	engine->now_ns = engine->started_ns = engine->active_ns = qs_loop_clock_ns();
	engine->sweep.fn = qs_loop_sweep;
	engine->backlog_timer.fn = qs_listener_retry;
	engine->held_timer.fn = qs_hold_expire;
}

int qs_engine_init(struct qs_engine *engine, const struct qs_identity *identity, bool thread,
		   int stream_fd, int control_fd, const char *policy_path)
{
	int rv = 0;

	init_fields(engine, identity);
	engine->thread = thread;
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

/* --- end --- */

void qs_engine_close(struct qs_engine *engine)
{
	struct qs_conn *conn;

	qs_workers_end(engine);
	while ((conn = TAILQ_FIRST(&engine->conns)) != NULL) {
		if (conn->state != QS_CONNECTION_CLOSING)
			qs_conn_close_idle(conn);
		qs_conn_drop(conn, 0);
	}
	qs_loop_empty_graves(engine);
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
	if (engine->probe_fd >= 0)
		close(engine->probe_fd);
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
