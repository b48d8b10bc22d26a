/* SPDX-License-Identifier: MIT */
/* The human form of quicshim-status. */
#include "status_view.h"

#include <inttypes.h>
#include <pwd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *user_name(char *out, uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	if (pw)
		snprintf(out, QS_TEXT_MAX, "%s", pw->pw_name);
	else
		snprintf(out, QS_TEXT_MAX, "uid %u", uid);
	return out;
}

static const char *direction(uint32_t server)
{
	return server ? "in" : "out";
}

/* Only the line: the file stands above the tables. */
static const char *rule(char *out, uint32_t line)
{
	*out = '\0';
	if (line)
		snprintf(out, QS_TEXT_MAX, ":%" PRIu32, line);
	return out;
}

/* Mode prefer only: how many connections took TCP, and why. */
static void print_tcp(FILE *out, const struct qs_status_totals *t)
{
	const char *before = "  tcp          ";

	for (uint32_t i = 0; i < QS_REASON_MAX; i++) {
		if (!t->tcp[i])
			continue;
		fprintf(out, "%s%" PRIu64 " %s", before, t->tcp[i], qs_reason_name(i));
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', out);
}

static void print_engine(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	const struct qs_status_head *h = &s->head;
	const struct qs_status_totals *t = &h->totals;
	char text[QS_TEXT_MAX], received[QS_TEXT_MAX];

	fprintf(out, "ENGINE %016" PRIx64 "  %s  pid %d  user %s", h->engine,
		h->program[0] ? h->program : "-", (int)s->pid, user_name(text, s->uid));
	if (h->worker)
		fprintf(out, "  worker %" PRIu32, h->worker);
	fprintf(out, "  %s  up %s  version %s\n", h->thread ? "thread" : "process",
		qs_text_age(text, h->uptime_ms), h->release[0] ? h->release : "-");
	fprintf(out, "  policy       %s\n", h->policy[0] ? h->policy : "(none)");
	fprintf(out,
		"  streams      %" PRIu64 " opened, %" PRIu64 " accepted, %" PRIu64
		" refused, %" PRIu64 " reset\n",
		t->streams_opened, t->streams_accepted, t->streams_refused, t->streams_reset);
	fprintf(out,
		"  connections  %" PRIu64 " opened, %" PRIu64 " accepted, %" PRIu64 " failed\n",
		t->connections_opened, t->connections_accepted, t->connections_failed);
	fprintf(out, "  bytes        %s sent, %s received\n", qs_text_bytes(text, t->bytes_sent),
		qs_text_bytes(received, t->bytes_received));
	print_tcp(out, t);
	if (verbose || t->datagrams_dropped)
		fprintf(out,
			"  datagrams    %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64
			" dropped\n",
			t->datagrams_sent, t->datagrams_received, t->datagrams_dropped);
	if (verbose || t->retries_sent || t->flights_dropped)
		fprintf(out,
			"  flood        %" PRIu64
			" clients asked to validate their address, %" PRIu64
			" first packets not looked at\n",
			t->retries_sent, t->flights_dropped);
	if (verbose || t->faults_trapped || t->requests_refused)
		fprintf(out,
			"  trouble      %" PRIu64 " faults trapped, %" PRIu64 " requests refused\n",
			t->faults_trapped, t->requests_refused);
	if (verbose || t->options_ignored)
		fprintf(out, "  options      %" PRIu64 " socket options without effect\n",
			t->options_ignored);
	if (verbose || t->rings[QS_RING_SEEN])
		fprintf(out,
			"  io_uring     %" PRIu64 " rings, %" PRIu64 " calls made, %" PRIu64
			" refused\n",
			t->rings[QS_RING_SEEN], t->rings[QS_RING_MADE], t->rings[QS_RING_REFUSED]);
}

static int print_connections(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	static const struct qs_column columns[] = {
		{"CONN", true, false},	  {"DIR", false, false},    {"PEER", false, true},
		{"ALPN", false, true},	  {"SNI", false, true},	    {"STATE", false, false},
		{"RTT", true, false},	  {"CWND", true, false},    {"LOST", true, false},
		{"PMTU", true, false},	  {"STREAMS", true, false}, {"AGE", true, false},
		{"LOCAL", false, false},  {"MINRTT", true, false},  {"INFLIGHT", true, false},
		{"TX-PKTS", true, false}, {"RX-PKTS", true, false}, {"SENT", true, false},
		{"RECV", true, false},	  {"MOVES", true, false},
	};
	char text[QS_TEXT_MAX];
	struct qs_table table;

	qs_table_init(&table, columns, verbose ? COUNT(columns) : 12);
	for (uint32_t i = 0; i < s->head.n_connections; i++) {
		const struct qs_status_connection *c = &s->connections[i];

		qs_table_add_u64(&table, c->id);
		qs_table_add(&table, direction(c->server));
		qs_table_add(&table, qs_text_addr(text, &c->peer));
		qs_table_add(&table, c->alpn);
		qs_table_add(&table, c->sni);
		qs_table_add(&table, qs_name_connection_state(c->state));
		qs_table_add(&table, qs_text_rtt(text, c->rtt_us));
		qs_table_add(&table, qs_text_bytes(text, c->cwnd));
		qs_table_add_u64(&table, c->lost_packets);
		qs_table_add_u64(&table, c->path_mtu);
		qs_table_add_u64(&table, c->streams);
		qs_table_add(&table, qs_text_age(text, c->age_ms));
		if (!verbose)
			continue;
		qs_table_add(&table, qs_text_addr(text, &c->local));
		qs_table_add(&table, qs_text_rtt(text, c->min_rtt_us));
		qs_table_add(&table, qs_text_bytes(text, c->in_flight));
		qs_table_add_u64(&table, c->sent_packets);
		qs_table_add_u64(&table, c->received_packets);
		qs_table_add(&table, qs_text_bytes(text, c->bytes_sent));
		qs_table_add(&table, qs_text_bytes(text, c->bytes_received));
		qs_table_add_u64(&table, c->path_changes);
	}
	return qs_table_print(&table, out, verbose ? 0 : QS_WIDTH);
}

static int print_streams(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	static const struct qs_column columns[] = {
		{"CONN", true, false},	   {"STREAM", true, false},  {"DIR", false, false},
		{"PID", true, false},	   {"PROGRAM", false, true}, {"LOCAL", false, true},
		{"REMOTE", false, true},   {"STATE", false, false},  {"SENT", true, false},
		{"RECV", true, false},	   {"AGE", true, false},     {"RULE", true, false},
		{"VERDICT", false, false},
	};
	char text[QS_TEXT_MAX];
	struct qs_table table;
	bool tcp = verbose;

	for (uint32_t i = 0; i < s->head.n_streams; i++)
		tcp = tcp || s->streams[i].reason;
	qs_table_init(&table, columns, tcp ? COUNT(columns) : COUNT(columns) - 1);
	for (uint32_t i = 0; i < s->head.n_streams; i++) {
		const struct qs_status_stream *e = &s->streams[i];

		if (e->connection)
			qs_table_add_u64(&table, e->connection);
		else
			qs_table_add(&table, "-");
		if (e->stream >= 0)
			qs_table_add_u64(&table, (uint64_t)e->stream);
		else
			qs_table_add(&table, "-");
		qs_table_add(&table, direction(e->server));
		snprintf(text, sizeof(text), "%" PRId64, e->pid);
		qs_table_add(&table, e->pid > 0 ? text : "-");
		qs_table_add(&table, e->program);
		qs_table_add(&table, qs_text_addr(text, &e->local));
		qs_table_add(&table, qs_text_addr(text, &e->remote));
		qs_table_add(&table, qs_name_slot_state(e->state));
		qs_table_add(&table, qs_text_bytes(text, e->sent));
		qs_table_add(&table, qs_text_bytes(text, e->received));
		qs_table_add(&table, qs_text_age(text, e->age_ms));
		qs_table_add(&table, rule(text, e->rule_line));
		if (!tcp)
			continue;
		snprintf(text, sizeof(text), "tcp: %s", qs_reason_name(e->reason));
		qs_table_add(&table, e->reason ? text : "quic");
	}
	return qs_table_print(&table, out, verbose ? 0 : QS_WIDTH);
}

static int print_listeners(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	static const struct qs_column columns[] = {
		{"ADDRESS", false, true}, {"ENDPOINT", false, true}, {"ALPN", false, true},
		{"PID", true, false},	  {"PROGRAM", false, true},  {"ACCEPTED", true, false},
		{"REFUSED", true, false}, {"RULE", true, false},     {"TCP", true, false},
	};
	char text[QS_TEXT_MAX];
	struct qs_table table;
	bool tcp = verbose;

	for (uint32_t i = 0; i < s->head.n_listeners; i++)
		tcp = tcp || s->listeners[i].accepted_tcp;
	qs_table_init(&table, columns, tcp ? COUNT(columns) : COUNT(columns) - 1);
	for (uint32_t i = 0; i < s->head.n_listeners; i++) {
		const struct qs_status_listener *l = &s->listeners[i];

		qs_table_add(&table, qs_text_addr(text, &l->address));
		qs_table_add(&table, qs_text_addr(text, &l->endpoint));
		qs_table_add(&table, l->alpn);
		snprintf(text, sizeof(text), "%" PRId64, l->pid);
		qs_table_add(&table, l->pid > 0 ? text : "-");
		qs_table_add(&table, l->program);
		qs_table_add_u64(&table, l->accepted);
		qs_table_add_u64(&table, l->refused);
		qs_table_add(&table, rule(text, l->rule_line));
		if (tcp)
			qs_table_add_u64(&table, l->accepted_tcp);
	}
	return qs_table_print(&table, out, verbose ? 0 : QS_WIDTH);
}

static int print_members(FILE *out, const struct qs_snapshot *s, bool verbose)
{
	static const struct qs_column columns[] = {
		{"UDP", false, true},	    {"SLOT", true, false},    {"STEERING", false, false},
		{"SIBLINGS", true, false},  {"CONNS", true, false},   {"UNDECIDED", true, false},
		{"OUT", true, false},	    {"IN", true, false},      {"LOST", true, false},
		{"RESETS", true, false},    {"REFUSED", true, false}, {"GENERATION", true, false},
		{"STRANGERS", true, false},
	};
	char text[QS_TEXT_MAX];
	struct qs_table table;

	qs_table_init(&table, columns, verbose ? COUNT(columns) : 11);
	for (uint32_t i = 0; i < s->head.n_members; i++) {
		const struct qs_status_member *m = &s->members[i];

		qs_table_add(&table, qs_text_addr(text, &m->endpoint));
		qs_table_add_u64(&table, m->slot);
		qs_table_add(&table, m->listeners ? qs_name_rung(m->rung) : "draining");
		qs_table_add_u64(&table, m->siblings);
		qs_table_add_u64(&table, m->connections);
		qs_table_add_u64(&table, m->undecided);
		qs_table_add_u64(&table, m->handed_out);
		qs_table_add_u64(&table, m->handed_in);
		qs_table_add_u64(&table, m->lost);
		qs_table_add_u64(&table, m->resets);
		qs_table_add_u64(&table, m->refused);
		if (!verbose)
			continue;
		qs_table_add_u64(&table, m->generation);
		qs_table_add_u64(&table, m->strangers);
	}
	return qs_table_print(&table, out, verbose ? 0 : QS_WIDTH);
}

/* Those that share their port, or that something happened to. */
static bool has_news(const struct qs_snapshot *s)
{
	for (uint32_t i = 0; i < s->head.n_members; i++) {
		const struct qs_status_member *m = &s->members[i];

		if (m->siblings || m->handed_out || m->handed_in || m->lost || m->resets ||
		    m->refused || m->strangers || m->undecided || !m->listeners)
			return true;
	}
	return false;
}

int qs_status_text(FILE *out, const struct qs_snapshot *snapshots, size_t n, bool verbose)
{
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		const struct qs_snapshot *s = &snapshots[i];

		if (i > 0)
			fputc('\n', out);
		print_engine(out, s, verbose);
		if (s->head.n_listeners) {
			fputc('\n', out);
			ret = print_listeners(out, s, verbose);
		}
		if (ret == 0 && s->head.n_members && (verbose || has_news(s))) {
			fputc('\n', out);
			ret = print_members(out, s, verbose);
		}
		if (ret == 0 && s->head.n_connections) {
			fputc('\n', out);
			ret = print_connections(out, s, verbose);
		}
		if (ret == 0 && s->head.n_streams) {
			fputc('\n', out);
			ret = print_streams(out, s, verbose);
		}
		if (ret == 0)
			ret = qs_status_text_fallbacks(out, s, verbose);
	}
	return ret;
}
