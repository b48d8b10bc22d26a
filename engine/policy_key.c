/* SPDX-License-Identifier: MIT */
/* The keys of the policy file: their names, where each may stand, what its value does. */
#include "policy_parts.h"

#include <stdio.h>
#include <string.h>

#define quoted(s) qs_policy_quote(s).text

#define TIMEOUT_MIN_NS (100 * QS_NS_PER_MS)

static const struct key_spec {
	const char *name;
	unsigned where;
	const char *hint; /* for who writes it elsewhere */
} keys[] = {
	[QS_KEY_MODE] = {"mode", QS_IN_ANY, NULL},
	[QS_KEY_ENDPOINT] = {"endpoint", QS_IN_ANY, NULL},
	[QS_KEY_ALPN] = {"alpn", QS_IN_ANY, NULL},
	[QS_KEY_SERVER_NAME] = {"server-name", QS_IN_ANY, NULL},
	[QS_KEY_CA] = {"ca", QS_IN_DEFAULTS | QS_IN_CONNECT, "to check clients write client-ca"},
	[QS_KEY_CERT] = {"cert", QS_IN_ANY, NULL},
	[QS_KEY_KEY] = {"key", QS_IN_ANY, NULL},
	[QS_KEY_CLIENT_CA] = {"client-ca", QS_IN_DEFAULTS | QS_IN_LISTEN,
			      "to check the server write ca"},
	[QS_KEY_CONNECTIONS] = {"connections", QS_IN_DEFAULTS | QS_IN_CONNECT,
				"the client chooses how many connections there are"},
	[QS_KEY_STREAMS] = {"streams", QS_IN_DEFAULTS | QS_IN_CONNECT,
			    "the client chooses what shares a connection"},
	[QS_KEY_WORKERS] = {"workers", QS_IN_DEFAULTS | QS_IN_LISTEN,
			    "all connections of a client are served by one thread"},
	[QS_KEY_LINGER] = {"linger", QS_IN_ANY, NULL},
	[QS_KEY_IDLE_TIMEOUT] = {"idle-timeout", QS_IN_ANY, NULL},
	[QS_KEY_HANDSHAKE_TIMEOUT] = {"handshake-timeout", QS_IN_ANY, NULL},
	[QS_KEY_KEEP_ALIVE] = {"keep-alive", QS_IN_ANY, NULL},
	[QS_KEY_CONGESTION] = {"congestion", QS_IN_ANY, NULL},
	[QS_KEY_STEERING] = {"steering", QS_IN_DEFAULTS | QS_IN_LISTEN,
			     "only a server has siblings"},
	[QS_KEY_UDP_OWNER] = {"udp-owner", QS_IN_DEFAULTS | QS_IN_LISTEN,
			      "a client's UDP sockets are its own"},
	[QS_KEY_ENGINE] = {"engine", QS_IN_DEFAULTS,
			   "one engine serves all sections; write it in [defaults]"},
	[QS_KEY_EARLY_DATA] = {"early-data", QS_IN_ANY, NULL},
	[QS_KEY_MIGRATION] = {"migration", QS_IN_ANY, NULL},
	[QS_KEY_HOST_ID] = {"host-id", QS_IN_DEFAULTS | QS_IN_LISTEN,
			    "only a server's connection IDs name a host"},
	[QS_KEY_CID_KEY] = {"cid-key", QS_IN_DEFAULTS | QS_IN_LISTEN,
			    "a client's connection IDs are always encrypted"},
	[QS_KEY_HEAD_START] = {"head-start", QS_IN_DEFAULTS | QS_IN_CONNECT,
			       "a server takes what comes first"},
	[QS_KEY_RETRY_AFTER] = {"retry-after", QS_IN_DEFAULTS | QS_IN_CONNECT,
				"only a client falls back"},
	[QS_KEY_BAD_CERTIFICATE] = {"on-bad-certificate", QS_IN_DEFAULTS | QS_IN_CONNECT,
				    "a server asks for certificates by client-ca"},
};
static_assert(sizeof(keys) / sizeof(keys[0]) == QS_KEY_COUNT, "each key has its row");

static const char *const mode_names[] = {
	[QS_MODE_TCP] = "tcp", [QS_MODE_QUIC] = "quic", [QS_MODE_PREFER] = "prefer"};
static const char *const placement_names[] = {
	[QS_PLACEMENT_PROCESS] = "process", [QS_PLACEMENT_THREAD] = "thread"};
static const char *const congestion_names[] = {
	[QS_CC_CUBIC] = "cubic", [QS_CC_BBR] = "bbr", [QS_CC_RENO] = "reno"};
static const char *const steering_names[] = {
	[QS_STEERING_AUTO] = "auto",
	[QS_STEERING_EBPF] = "ebpf",
	[QS_STEERING_CLASSIC] = "classic",
	[QS_STEERING_HASH] = "hash",
};
static_assert(sizeof(steering_names) / sizeof(steering_names[0]) == QS_STEERING_HASH + 1,
	      "enum qs_steering");
static const char *const streams_names[] = {"shared", "one"};
static const char *const bad_certificate_names[] = {"fail", "tcp"};
static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == QS_MODE_PREFER + 1, "enum qs_mode");
static_assert(sizeof(placement_names) / sizeof(placement_names[0]) == QS_PLACEMENT_THREAD + 1,
	      "enum qs_placement");
static_assert(sizeof(congestion_names) / sizeof(congestion_names[0]) == QS_CC_RENO + 1,
	      "enum qs_congestion");

/* Edits (insert, delete, replace, swap neighbours) from a to b; both are shorter than 24. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[24][24];

	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

static int unknown_key(const struct qs_policy_parser *p, const char *name)
{
	unsigned best = 4, d;
	int nearest = -1;

	for (int i = 0; i < QS_KEY_COUNT && strlen(name) < 24; i++) {
		d = distance(name, keys[i].name);
		if (d < best && d < strlen(keys[i].name)) {
			best = d;
			nearest = i;
		}
	}
	if (nearest >= 0)
		return qs_policy_fail(&p->at, "unknown key \"%s\"; do you mean \"%s\"?",
				      quoted(name), keys[nearest].name);
	return qs_policy_fail(&p->at, "unknown key \"%s\"; policy.conf(5) lists the keys",
			      quoted(name));
}

static int set_choice(const struct qs_policy_parser *p, enum qs_policy_key key, const char *value,
		      const char *const *names, unsigned n_names)
{
	return qs_value_choice(&p->at, keys[key].name, value, names, n_names);
}

static int set_path(const struct qs_policy_parser *p, enum qs_policy_key key, const char *value,
		    const char **out)
{
	*out = value;
	return qs_value_path(&p->at, keys[key].name, value);
}

static int set_value(struct qs_policy_parser *p, enum qs_policy_key key, char *value)
{
	struct qs_rule *rule = &p->current.rule;
	const char *name = keys[key].name;
	unsigned number = 0;
	int ret = 0;

	switch (key) {
	case QS_KEY_MODE:
		ret = set_choice(p, key, value, mode_names, QS_MODE_PREFER + 1);
		rule->mode = (enum qs_mode)ret;
		break;
	case QS_KEY_ENDPOINT:
		memset(&rule->endpoint, 0, sizeof(rule->endpoint)); /* that of [defaults] */
		rule->has_endpoint_addr = rule->endpoint_any = false;
		ret = qs_value_endpoint(&p->at, value, rule);
		break;
	case QS_KEY_ALPN:
		rule->alpn = value;
		ret = qs_value_alpn(&p->at, value);
		break;
	case QS_KEY_SERVER_NAME:
		if (rule->listen) {
			rule->server_names = value;
			return qs_value_names(&p->at, "server-name", value);
		}
		rule->server_name = value;
		return qs_value_name(&p->at, "server-name", value);
	case QS_KEY_CA:
		return set_path(p, key, value, &rule->ca);
	case QS_KEY_CERT:
		return set_path(p, key, value, &rule->cert);
	case QS_KEY_KEY:
		return set_path(p, key, value, &rule->key);
	case QS_KEY_CLIENT_CA:
		return set_path(p, key, value, &rule->client_ca);
	case QS_KEY_CONNECTIONS:
		return qs_value_number(&p->at, name, value, 1, QS_POLICY_CONNECTIONS_MAX,
				       &rule->connections);
	case QS_KEY_STREAMS:
		ret = set_choice(p, key, value, streams_names, 2);
		rule->stream_per_connection = ret == 1;
		break;
	case QS_KEY_WORKERS:
		return qs_value_number(&p->at, name, value, 1, QS_POLICY_WORKERS_MAX,
				       &rule->workers);
	case QS_KEY_LINGER:
		return qs_value_duration(&p->at, name, value, 0, &rule->linger_ns);
	case QS_KEY_IDLE_TIMEOUT:
		return qs_value_duration(&p->at, name, value, TIMEOUT_MIN_NS,
					 &rule->idle_timeout_ns);
	case QS_KEY_HANDSHAKE_TIMEOUT:
		return qs_value_duration(&p->at, name, value, TIMEOUT_MIN_NS,
					 &rule->handshake_timeout_ns);
	case QS_KEY_KEEP_ALIVE:
		return qs_value_duration(&p->at, name, value, TIMEOUT_MIN_NS, &rule->keep_alive_ns);
	case QS_KEY_CONGESTION:
		ret = set_choice(p, key, value, congestion_names, 3);
		rule->congestion = (enum qs_congestion)ret;
		break;
	case QS_KEY_STEERING:
		ret = set_choice(p, key, value, steering_names, QS_STEERING_HASH + 1);
		rule->steering = (enum qs_steering)ret;
		break;
	case QS_KEY_UDP_OWNER:
		ret = qs_value_number(&p->at, name, value, 0, INT32_MAX, &number);
		rule->udp_owner = number;
		break;
	case QS_KEY_ENGINE:
		ret = set_choice(p, key, value, placement_names, 2);
		p->policy->placement = (enum qs_placement)ret;
		break;
	case QS_KEY_EARLY_DATA:
		if (strcmp(value, "yes") == 0)
			return qs_policy_fail(&p->at,
					      "early-data = yes is not built yet; write no");
		ret = set_choice(p, key, value, (const char *const[]){"no"}, 1);
		break;
	case QS_KEY_HOST_ID:
		return qs_value_number(&p->at, name, value, 0, 65535, &rule->host_id);
	case QS_KEY_CID_KEY:
		return set_path(p, key, value, &rule->cid_key);
	case QS_KEY_MIGRATION:
		ret = set_choice(p, key, value, (const char *const[]){"no", "yes"}, 2);
		rule->migration = ret == 1;
		break;
	case QS_KEY_HEAD_START:
		return qs_value_duration(&p->at, name, value, 0, &rule->head_start_ns);
	case QS_KEY_RETRY_AFTER:
		return qs_value_duration(&p->at, name, value, TIMEOUT_MIN_NS,
					 &rule->retry_after_ns);
	case QS_KEY_BAD_CERTIFICATE:
		ret = set_choice(p, key, value, bad_certificate_names, 2);
		rule->plain_on_bad_certificate = ret == 1;
		break;
	case QS_KEY_COUNT:
		break;
	}
	return ret < 0 ? ret : 0;
}

int qs_policy_parse_key(struct qs_policy_parser *p, char *line)
{
	struct qs_policy_section *s = &p->current;
	char *equals = strchr(line, '=');
	char *name, *value;
	enum qs_policy_key key;

	if (!equals)
		return qs_policy_fail(&p->at, "\"%s\" is neither a [section] nor key = value; %s",
				      quoted(line),
				      *line == ';' || *line == '/' ? "comments begin with #"
								   : "write key = value");
	*equals = '\0';
	name = qs_policy_trim(line);
	value = qs_policy_trim(equals + 1);
	for (key = 0; key < QS_KEY_COUNT; key++) {
		if (strcmp(name, keys[key].name) == 0)
			break;
	}
	if (key == QS_KEY_COUNT)
		return unknown_key(p, name);
	if (!s->kind)
		return qs_policy_fail(&p->at, "\"%s\" before any section; put [defaults] above it",
				      name);
	if (!(keys[key].where & s->kind))
		return qs_policy_fail(&p->at, "\"%s\" can't stand in a [%s] section; %s", name,
				      s->kind == QS_IN_LISTEN ? "listen" : "connect",
				      keys[key].hint);
	if (s->key_line[key])
		return qs_policy_fail(&p->at,
				      "\"%s\" is set twice in this section, first in line %d; "
				      "remove one",
				      name, s->key_line[key]);
	if (*value == '\0')
		return qs_policy_fail(&p->at, "\"%s\" has no value; write one or remove the line",
				      name);
	s->key_line[key] = p->at.line;
	return set_value(p, key, value);
}
