/* SPDX-License-Identifier: MIT */
/* The machine form of quicshim-status. Its keys and their order are frozen: see quicshim-status(1).
 */
#include "status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>

/* json-c is given ownership by each add; a NULL child (no memory) would read as null, so it is told
 * apart. */
struct build {
	bool failed;
};

static void add(struct build *b, struct json_object *parent, const char *key,
		struct json_object *child)
{
	if (!parent || !child || json_object_object_add(parent, key, child) < 0) {
		json_object_put(child);
		b->failed = true;
	}
}

static void add_null(struct build *b, struct json_object *parent, const char *key)
{
	if (!parent || json_object_object_add(parent, key, NULL) < 0)
		b->failed = true;
}

static void add_text(struct build *b, struct json_object *parent, const char *key, const char *text)
{
	add(b, parent, key, json_object_new_string(text));
}

static void add_u64(struct build *b, struct json_object *parent, const char *key, uint64_t value)
{
	add(b, parent, key, json_object_new_uint64(value));
}

static void add_i64(struct build *b, struct json_object *parent, const char *key, int64_t value)
{
	add(b, parent, key, json_object_new_int64(value));
}

static void add_addr(struct build *b, struct json_object *parent, const char *key,
		     const struct qs_addr *addr)
{
	char text[QS_TEXT_MAX];

	add_text(b, parent, key, qs_text_addr(text, addr));
}

static void add_rule(struct build *b, struct json_object *parent, const struct qs_snapshot *s,
		     uint32_t line)
{
	char text[QS_TEXT_MAX];

	add_text(b, parent, "rule", qs_text_rule(text, &s->head, line));
}

static void append(struct build *b, struct json_object *array, struct json_object *child)
{
	if (!array || !child || json_object_array_add(array, child) < 0) {
		json_object_put(child);
		b->failed = true;
	}
}

static struct json_object *totals_json(struct build *b, const struct qs_status_totals *t)
{
	struct json_object *o = json_object_new_object(), *tcp = json_object_new_object();

	add_u64(b, o, "streams_opened", t->streams_opened);
	add_u64(b, o, "streams_accepted", t->streams_accepted);
	add_u64(b, o, "streams_refused", t->streams_refused);
	add_u64(b, o, "streams_reset", t->streams_reset);
	add_u64(b, o, "connections_opened", t->connections_opened);
	add_u64(b, o, "connections_accepted", t->connections_accepted);
	add_u64(b, o, "connections_failed", t->connections_failed);
	add_u64(b, o, "bytes_sent", t->bytes_sent);
	add_u64(b, o, "bytes_received", t->bytes_received);
	add_u64(b, o, "datagrams_sent", t->datagrams_sent);
	add_u64(b, o, "datagrams_received", t->datagrams_received);
	add_u64(b, o, "datagrams_dropped", t->datagrams_dropped);
	add_u64(b, o, "faults_trapped", t->faults_trapped);
	add_u64(b, o, "requests_refused", t->requests_refused);
	add_u64(b, o, "retries_sent", t->retries_sent);
	add_u64(b, o, "flights_dropped", t->flights_dropped);
	add_u64(b, o, "options_ignored", t->options_ignored);
	add_u64(b, o, "rings", t->rings[QS_RING_SEEN]);
	add_u64(b, o, "ring_calls_made", t->rings[QS_RING_MADE]);
	add_u64(b, o, "ring_calls_refused", t->rings[QS_RING_REFUSED]);
	for (uint32_t i = QS_REASON_NONE + 1; i < QS_REASON_MAX; i++)
		add_u64(b, tcp, qs_reason_name(i), t->tcp[i]);
	add(b, o, "tcp", tcp);
	return o;
}

static struct json_object *connection_json(struct build *b, const struct qs_status_connection *c)
{
	struct json_object *o = json_object_new_object();

	add_u64(b, o, "id", c->id);
	add_text(b, o, "role", qs_name_role(c->server));
	add_addr(b, o, "peer", &c->peer);
	add_addr(b, o, "local", &c->local);
	add_text(b, o, "alpn", c->alpn);
	add_text(b, o, "sni", c->sni);
	add_text(b, o, "state", qs_name_connection_state(c->state));
	add_u64(b, o, "rtt_us", c->rtt_us);
	add_u64(b, o, "min_rtt_us", c->min_rtt_us);
	add_u64(b, o, "cwnd", c->cwnd);
	add_u64(b, o, "in_flight", c->in_flight);
	add_u64(b, o, "sent_packets", c->sent_packets);
	add_u64(b, o, "lost_packets", c->lost_packets);
	add_u64(b, o, "received_packets", c->received_packets);
	add_u64(b, o, "path_mtu", c->path_mtu);
	add_u64(b, o, "path_changes", c->path_changes);
	add_u64(b, o, "streams", c->streams);
	add_u64(b, o, "bytes_sent", c->bytes_sent);
	add_u64(b, o, "bytes_received", c->bytes_received);
	add_u64(b, o, "age_ms", c->age_ms);
	return o;
}

static struct json_object *stream_json(struct build *b, const struct qs_snapshot *s,
				       const struct qs_status_stream *e)
{
	struct json_object *o = json_object_new_object();

	if (e->connection)
		add_u64(b, o, "connection", e->connection);
	else
		add_null(b, o, "connection");
	if (e->stream >= 0)
		add_i64(b, o, "stream", e->stream);
	else
		add_null(b, o, "stream");
	add_text(b, o, "role", qs_name_role(e->server));
	add_i64(b, o, "pid", e->pid);
	add_text(b, o, "program", e->program);
	add_addr(b, o, "local", &e->local);
	add_addr(b, o, "remote", &e->remote);
	add_text(b, o, "state", qs_name_slot_state(e->state));
	add_u64(b, o, "sent", e->sent);
	add_u64(b, o, "received", e->received);
	add_u64(b, o, "age_ms", e->age_ms);
	add_rule(b, o, s, e->rule_line);
	add_text(b, o, "verdict", qs_name_verdict(e->reason));
	add_text(b, o, "reason", qs_reason_name(e->reason));
	return o;
}

static struct json_object *listener_json(struct build *b, const struct qs_snapshot *s,
					 const struct qs_status_listener *l)
{
	struct json_object *o = json_object_new_object();

	add_addr(b, o, "address", &l->address);
	add_addr(b, o, "endpoint", &l->endpoint);
	add_text(b, o, "alpn", l->alpn);
	add_i64(b, o, "pid", l->pid);
	add_text(b, o, "program", l->program);
	add_u64(b, o, "accepted", l->accepted);
	add_u64(b, o, "refused", l->refused);
	add_rule(b, o, s, l->rule_line);
	add_u64(b, o, "accepted_tcp", l->accepted_tcp);
	return o;
}

static struct json_object *verdict_json(struct build *b, const struct qs_snapshot *s,
					const struct qs_status_verdict *v)
{
	struct json_object *o = json_object_new_object();

	add_u64(b, o, "age_ms", v->age_ms);
	add_text(b, o, "role", qs_name_role(v->server));
	add_i64(b, o, "pid", v->pid);
	add_text(b, o, "program", v->program);
	add_addr(b, o, "remote", &v->remote);
	add_text(b, o, "verdict", qs_name_verdict(v->reason));
	add_text(b, o, "reason", qs_reason_name(v->reason));
	add_text(b, o, "cause", qs_reason_name(v->cause));
	add_u64(b, o, "retry_ms", v->retry_ms);
	add_rule(b, o, s, v->rule_line);
	return o;
}

static struct json_object *failure_json(struct build *b, const struct qs_status_failure *f)
{
	struct json_object *o = json_object_new_object();

	add_addr(b, o, "destination", &f->destination);
	add_text(b, o, "alpn", f->alpn);
	add_text(b, o, "reason", qs_reason_name(f->reason));
	add_u64(b, o, "failures", f->failures);
	add_u64(b, o, "retry_ms", f->retry_ms);
	return o;
}

static struct json_object *member_json(struct build *b, const struct qs_status_member *m)
{
	struct json_object *o = json_object_new_object();

	add_addr(b, o, "endpoint", &m->endpoint);
	add_u64(b, o, "slot", m->slot);
	add_u64(b, o, "generation", m->generation);
	add_text(b, o, "steering", qs_name_rung(m->rung));
	add_u64(b, o, "siblings", m->siblings);
	add_u64(b, o, "listeners", m->listeners);
	add_u64(b, o, "connections", m->connections);
	add_u64(b, o, "undecided", m->undecided);
	add_u64(b, o, "handed_out", m->handed_out);
	add_u64(b, o, "handed_in", m->handed_in);
	add_u64(b, o, "lost", m->lost);
	add_u64(b, o, "strangers", m->strangers);
	add_u64(b, o, "resets", m->resets);
	add_u64(b, o, "refused", m->refused);
	return o;
}

static struct json_object *engine_json(struct build *b, const struct qs_snapshot *s)
{
	struct json_object *o = json_object_new_object();
	struct json_object *connections = json_object_new_array();
	struct json_object *streams = json_object_new_array();
	struct json_object *listeners = json_object_new_array();
	struct json_object *members = json_object_new_array();
	struct json_object *verdicts = json_object_new_array();
	struct json_object *failures = json_object_new_array();
	char id[24];

	snprintf(id, sizeof(id), "%016" PRIx64, s->head.engine);
	add_text(b, o, "id", id);
	add_i64(b, o, "pid", s->pid);
	add_i64(b, o, "uid", (int64_t)s->uid);
	add_text(b, o, "program", s->head.program);
	add_text(b, o, "placement", s->head.thread ? "thread" : "process");
	add_u64(b, o, "worker", s->head.worker);
	add_text(b, o, "version", s->head.release);
	add_text(b, o, "policy", s->head.policy);
	add_u64(b, o, "uptime_ms", s->head.uptime_ms);
	add(b, o, "totals", totals_json(b, &s->head.totals));
	for (uint32_t i = 0; i < s->head.n_connections && !b->failed; i++)
		append(b, connections, connection_json(b, &s->connections[i]));
	for (uint32_t i = 0; i < s->head.n_streams && !b->failed; i++)
		append(b, streams, stream_json(b, s, &s->streams[i]));
	for (uint32_t i = 0; i < s->head.n_listeners && !b->failed; i++)
		append(b, listeners, listener_json(b, s, &s->listeners[i]));
	for (uint32_t i = 0; i < s->head.n_members && !b->failed; i++)
		append(b, members, member_json(b, &s->members[i]));
	for (uint32_t i = 0; i < s->head.n_verdicts && !b->failed; i++)
		append(b, verdicts, verdict_json(b, s, &s->verdicts[i]));
	for (uint32_t i = 0; i < s->head.n_failures && !b->failed; i++)
		append(b, failures, failure_json(b, &s->failures[i]));
	add(b, o, "connections", connections);
	add(b, o, "streams", streams);
	add(b, o, "listeners", listeners);
	add(b, o, "members", members);
	add(b, o, "verdicts", verdicts);
	add(b, o, "failures", failures);
	return o;
}

int qs_status_json(FILE *out, const struct qs_snapshot *snapshots, size_t n)
{
	struct json_object *root = json_object_new_object();
	struct json_object *engines = json_object_new_array();
	struct build b = {0};
	const char *text = NULL;

	for (size_t i = 0; i < n && !b.failed; i++)
		append(&b, engines, engine_json(&b, &snapshots[i]));
	add(&b, root, "engines", engines);
	if (!b.failed)
		text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
								    JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		fprintf(out, "%s\n", text);
	json_object_put(root);
	return text ? 0 : -ENOMEM;
}
