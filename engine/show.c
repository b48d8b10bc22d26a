/* SPDX-License-Identifier: MIT */
/* The status socket: shows all there is to whoever may ask. */

/*
 * The whole answer is built in memory at once, so that it is of one moment, and sent as the client
 * reads it. A client has ANSWER_NS; there are CLIENTS_MAX of them at a time.
 */
#include "show.h"

#include "conn.h"
#include "fallback.h"
#include "flight.h"
#include "group.h"
#include "listen.h"
#include "log.h"
#include "relay.h"
#include "stranger.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define ANSWER_NS (5 * QS_NSEC)
#ifndef QS_VERSION
#define QS_VERSION "0.1.0"
#endif

struct viewer {
	struct qs_source source;
	struct qs_grave grave;
	struct qs_timer timer;
	struct qs_engine *engine;
	uint8_t *answer;
	size_t len, sent;
};

void qs_show_program(int64_t pid, char out[static 32])
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, 31);
		close(fd);
	}
	if (n < 0)
		n = 0;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static void cut(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
}

static uint64_t age_ms(const struct qs_engine *engine, uint64_t since_ns)
{
	return (engine->now_ns - since_ns) / QS_MSEC;
}

static void show_connection(struct qs_conn *conn, struct qs_status_connection *out)
{
	ngtcp2_conn_info info;

	*out = (struct qs_status_connection){.id = conn->id,
					     .server = conn->server,
					     .state = conn->state,
					     .local = conn->local,
					     .peer = conn->peer,
					     .sent_packets = conn->sent_packets,
					     .lost_packets = conn->lost_packets,
					     .received_packets = conn->received_packets,
					     .streams = conn->n_streams,
					     .bytes_sent = conn->sent_bytes,
					     .bytes_received = conn->received_bytes,
					     .age_ms = age_ms(conn->engine, conn->opened_ns),
					     .path_changes = conn->path_changes};
	cut(out->alpn, sizeof(out->alpn), conn->rule->alpn);
	cut(out->sni, sizeof(out->sni), conn->sni);
	if (conn->poisoned)
		return;
	ngtcp2_conn_get_conn_info(conn->quic, &info);
	out->rtt_us = info.smoothed_rtt / 1000;
	out->min_rtt_us = info.min_rtt == UINT64_MAX ? 0 : info.min_rtt / 1000;
	out->cwnd = info.cwnd;
	out->in_flight = info.bytes_in_flight;
	out->path_mtu = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->quic);
	out->lost_packets = qs_conn_lost(conn);
}

static void show_stream(struct qs_stream *stream, struct qs_status_stream *out)
{
	const struct qs_slot *slot = qs_pages_slot(&stream->engine->pages, stream->slot);

	*out = (struct qs_status_stream){
		.connection = stream->conn ? stream->conn->id : 0,
		.stream = stream->id,
		.server = stream->server,
		.state = slot->state,
		.pid = stream->pid,
		.local = slot->local,
		.remote = slot->peer,
		.sent = stream->tx_taken,
		.received = atomic_load_explicit(&slot->received_bytes, memory_order_relaxed),
		.age_ms = age_ms(stream->engine, stream->opened_ns),
		.rule_line = stream->rule_line,
		.reason = stream->reason};
	qs_show_program(stream->pid, out->program);
}

static void show_listener(struct qs_listener *listener, struct qs_status_listener *out)
{
	*out = (struct qs_status_listener){.address = listener->address,
					   .pid = listener->pid,
					   .accepted = listener->accepted,
					   .refused = listener->refused,
					   .accepted_tcp = listener->accepted_tcp,
					   .rule_line = (uint32_t)listener->rule->line};
	out->endpoint = listener->endpoints[0]->address;
	cut(out->alpn, sizeof(out->alpn), listener->rule->alpn);
	qs_show_program(listener->pid, out->program);
}

static void show_member(const struct qs_endpoint *endpoint, struct qs_status_member *out)
{
	const struct qs_member *member = endpoint->member;
	const struct qs_link *link;

	*out = (struct qs_status_member){.endpoint = endpoint->address,
					 .slot = member->slot,
					 .generation = member->generation,
					 .rung = (uint32_t)qs_ladder_rung(endpoint),
					 .listeners = endpoint->n_listeners,
					 .connections = endpoint->n_conns,
					 .handed_out = member->handed_out,
					 .handed_in = member->handed_in,
					 .lost = member->lost,
					 .strangers = member->refused,
					 .resets = endpoint->n_resets,
					 .refused = endpoint->n_refused};
	if (endpoint->flights != NULL)
		out->undecided = qs_flight_counts(endpoint->flights)->n_undecided;
	TAILQ_FOREACH(link, &member->links, link)
	out->siblings += link->known;
}

static void show_head(struct qs_engine *engine, struct qs_status_head *head)
{
	struct qs_endpoint *endpoint;

	*head = (struct qs_status_head){.magic = QS_STATUS_MAGIC,
					.version = QS_PROTOCOL_VERSION,
					.engine = engine->identity.id + engine->worker,
					.worker = engine->worker,
					.pid = getpid(),
					.uid = geteuid(),
					.thread = engine->thread,
					.uptime_ms = age_ms(engine, engine->started_ns),
					.totals = engine->totals};
	cut(head->program, sizeof(head->program), engine->program);
	cut(head->release, sizeof(head->release), QS_VERSION);
	if (engine->policy != NULL)
		cut(head->policy, sizeof(head->policy), engine->policy->path);
	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		head->totals.datagrams_sent += endpoint->udp.sent_datagrams;
		head->totals.datagrams_received += endpoint->udp.received_datagrams;
		head->totals.datagrams_dropped += endpoint->udp.dropped_datagrams;
	}
	head->totals.options_ignored = engine->pages.options_ignored;
	for (uint32_t i = 0; i < engine->pages.n_touched; i++)
		head->totals.options_ignored +=
			engine->pages.options[engine->pages.first_slot + i].ignored;
}

static void show_failure(const struct qs_engine *engine, const struct qs_fallback *entry,
			 struct qs_status_failure *out)
{
	*out = (struct qs_status_failure){.destination = entry->key.peer,
					  .reason = entry->reason,
					  .failures = entry->failures};
	cut(out->alpn, sizeof(out->alpn), entry->key.alpn);
	if (entry->until_ns > engine->now_ns)
		out->retry_ms = (entry->until_ns - engine->now_ns) / QS_MSEC;
}

/* What mode prefer adds; `at` has room for all of it. */
static void build_fallbacks(struct qs_engine *engine, uint8_t *at)
{
	struct qs_fallback *entry;

	at += qs_verdict_list(engine, (struct qs_status_verdict *)(void *)at) *
	      sizeof(struct qs_status_verdict);
	TAILQ_FOREACH(entry, &engine->fallbacks_by_age, link)
	{
		show_failure(engine, entry, (struct qs_status_failure *)(void *)at);
		at += sizeof(struct qs_status_failure);
	}
}

static uint8_t *build(struct qs_engine *engine, size_t *len)
{
	struct qs_status_head head;
	struct qs_listener *listener;
	struct qs_conn *conn;
	struct qs_stream *stream;
	struct qs_endpoint *endpoint;
	struct qs_relay *relay;
	uint8_t *answer, *at;
	size_t size;

	show_head(engine, &head);
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		head.n_connections++;
		head.n_streams += conn->n_streams;
	}
	TAILQ_FOREACH(listener, &engine->listeners, link)
	head.n_listeners++;
	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	head.n_members += endpoint->server;
	TAILQ_FOREACH(relay, &engine->relays, link)
	head.n_streams++;
	head.n_verdicts = engine->n_verdicts < QS_VERDICTS_MAX ? (uint32_t)engine->n_verdicts
							       : QS_VERDICTS_MAX;
	head.n_failures = engine->n_fallbacks;
	size = sizeof(head) + head.n_connections * sizeof(struct qs_status_connection) +
	       head.n_streams * sizeof(struct qs_status_stream) +
	       head.n_listeners * sizeof(struct qs_status_listener) +
	       head.n_members * sizeof(struct qs_status_member) +
	       head.n_verdicts * sizeof(struct qs_status_verdict) +
	       head.n_failures * sizeof(struct qs_status_failure);
	answer = at = calloc(1, size);
	if (answer == NULL)
		return NULL;
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		show_connection(conn, (struct qs_status_connection *)(void *)at);
		at += sizeof(struct qs_status_connection);
	}
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	{
		TAILQ_FOREACH(stream, &conn->streams, conn_link)
		{
			show_stream(stream, (struct qs_status_stream *)(void *)at);
			at += sizeof(struct qs_status_stream);
		}
	}
	TAILQ_FOREACH(relay, &engine->relays, link)
	{
		show_stream(relay->stream, (struct qs_status_stream *)(void *)at);
		at += sizeof(struct qs_status_stream);
	}
	TAILQ_FOREACH(listener, &engine->listeners, link)
	{
		show_listener(listener, (struct qs_status_listener *)(void *)at);
		at += sizeof(struct qs_status_listener);
	}
	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		if (!endpoint->server)
			continue;
		show_member(endpoint, (struct qs_status_member *)(void *)at);
		at += sizeof(struct qs_status_member);
	}
	build_fallbacks(engine, at);
	*len = size;
	return answer;
}

static void viewer_grave(struct qs_grave *grave)
{
	struct viewer *viewer = qs_container(grave, struct viewer, grave);

	free(viewer->answer);
	free(viewer);
}

static void viewer_end(struct viewer *viewer)
{
	viewer->engine->n_viewers--;
	qs_timer_clear(&viewer->engine->timers, &viewer->timer);
	qs_source_close(viewer->engine, &viewer->source);
	qs_engine_bury(viewer->engine, &viewer->grave, viewer_grave);
}

static void viewer_timeout(struct qs_timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	viewer_end(qs_container(timer, struct viewer, timer));
}

static void viewer_event(struct qs_source *source, uint32_t events)
{
	struct viewer *viewer = qs_container(source, struct viewer, source);
	ssize_t n;

	(void)events;
	while (viewer->sent < viewer->len) {
		n = send(source->fd, viewer->answer + viewer->sent, viewer->len - viewer->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		viewer->sent += (size_t)n;
	}
	viewer_end(viewer);
}

void qs_show_accept(struct qs_source *source, uint32_t events)
{
	struct qs_engine *engine = qs_container(source, struct qs_engine, status_source);
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct viewer *viewer = NULL;

	(void)events;
	if (fd < 0) {
		qs_engine_deafen(engine);
		return;
	}
	if (!qs_engine_may(engine, fd, NULL))
		engine->totals.requests_refused++;
	else if (engine->n_viewers < CLIENTS_MAX)
		viewer = calloc(1, sizeof(*viewer));
	if (viewer == NULL) {
		qs_stranger_empty(fd);
		close(fd);
		return;
	}
	viewer->engine = engine;
	viewer->source = (struct qs_source){.fd = fd, .fn = viewer_event};
	viewer->timer.fn = viewer_timeout;
	viewer->answer = build(engine, &viewer->len);
	engine->n_viewers++;
	if (viewer->answer == NULL || qs_source_add(engine, &viewer->source, EPOLLOUT) < 0 ||
	    qs_timer_set(&engine->timers, &viewer->timer, engine->now_ns + ANSWER_NS) < 0)
		viewer_end(viewer);
}
