/* SPDX-License-Identifier: MIT */
/* An engine's turns. */

/*
 * Theory. One thread, one epoll set. A turn: wait; run due timers; handle events (packets are read,
 * streams marked); read what apps wrote; give apps what came; write packets of dirty connections;
 * free what was buried. So a burst of packets costs one acknowledgement, one write to each app, and
 * one clock read. The objects that an event or a list may still name in this turn are freed at its
 * end (qs_engine_bury).
 */
#include "loop.h"

#include "conn.h"
#include "engine.h"
#include "group.h"
#include "listen.h"
#include "outlive.h"
#include "privilege.h"
#include "relay.h"
#include "request.h"
#include "stream.h"
#include "worker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define EVENTS 128
#define LINGER_DEFAULT_NS (10 * QS_NSEC)
#define ALONE_IDLE_NS QS_NSEC

uint64_t qs_loop_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
}

void qs_loop_sweep(struct qs_timer *timer, uint64_t now_ns)
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
		     now_ns + (TAILQ_EMPTY(&engine->listeners) ? QS_NSEC : QS_LOOP_SWEEP_NS));
}

bool qs_engine_idle(const struct qs_engine *engine)
{
	return engine->n_streams == 0 && TAILQ_EMPTY(&engine->listeners) &&
	       engine->n_requests == 0 && engine->n_controls == engine->n_control_strangers &&
	       !qs_workers_busy(engine);
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
	uint64_t next = qs_timers_next(&engine->timers), now = qs_loop_clock_ns();
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
	now = qs_loop_clock_ns();
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

void qs_loop_empty_graves(struct qs_engine *engine)
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
		qs_loop_empty_graves(engine);
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
