/* SPDX-License-Identifier: MIT */
/* The grammar of the policy file: lines, sections, keys, and what must fit together. */
/*
 * One pass over the lines. A section collects its keys in a struct qs_rule that begins as a
 * copy of [defaults]; it is judged as a whole when the next section or the end is reached, so
 * errors come in the order of lines but for those that only a whole section shows, which name
 * the key or the header that is to blame. The first error ends it: no policy is better than
 * half a policy.
 *
 * Strictness is the point. A line that were skipped or cut could be the one that keeps some
 * data from going out in the clear.
 */
#include "policy_parts.h"

#include <string.h>

#define quoted(s) qs_policy_quote(s).text

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cut blanks off both ends, in place. */
char *qs_policy_trim(char *s)
{
	char *end;

	while (is_blank(*s))
		s++;
	end = s + strlen(s);
	while (end > s && is_blank(end[-1]))
		end--;
	*end = '\0';
	return s;
}

/* The line that set a key for this section: its own, or that of [defaults]; 0 if none did. */
static int line_of(const struct qs_policy_parser *p, enum qs_policy_key key)
{
	int line = p->current.key_line[key];

	return line ? line : p->defaults.key_line[key];
}

static int check_endpoint(const struct qs_policy_parser *p)
{
	const struct qs_rule *r = &p->current.rule;
	int own_line = p->current.key_line[QS_KEY_ENDPOINT];
	const struct qs_policy_place at = {p->at.path, own_line ? own_line : r->line, p->at.err};
	const char *from = own_line ? "" : " of [defaults]";
	static const uint8_t zero[sizeof(r->endpoint)];
	bool unspecified = r->endpoint_any;

	if (r->has_endpoint_addr) { /* all but the family is 0 in an unspecified address */
		size_t skip = sizeof(r->endpoint.ss_family);

		unspecified = memcmp((const uint8_t *)&r->endpoint + skip, zero,
				     sizeof(zero) - skip) == 0;
	}
	if (!r->listen && unspecified)
		return qs_policy_fail(&at,
				      "a client can't connect to the wildcard endpoint%s; write "
				      ":PORT or ADDRESS:PORT",
				      from);
	if (r->listen && r->match == QS_MATCH_PREFIX && r->family == AF_INET &&
	    r->has_endpoint_addr && r->endpoint.ss_family == AF_INET6)
		return qs_policy_fail(&at,
				      "an IPv6 endpoint%s for an IPv4 socket, which can't show "
				      "IPv6 peers; write an IPv4 address or *",
				      from);
	return 0;
}

/* What only a whole section shows. */
static int check_section(const struct qs_policy_parser *p)
{
	const struct qs_policy_section *s = &p->current;
	const struct qs_rule *r = &s->rule;
	const struct qs_policy_place *at = &p->at;
	int a, b;

	/* A pair is never made of one file from here and one from [defaults]. */
	if (!s->key_line[QS_KEY_CERT] != !s->key_line[QS_KEY_KEY])
		return qs_policy_fail_line(
			at, s->key_line[QS_KEY_CERT] + s->key_line[QS_KEY_KEY],
			"cert and key belong together; write %s in this section too",
			s->key_line[QS_KEY_CERT] ? "key" : "cert");
	if (s->key_line[QS_KEY_STREAMS] && s->key_line[QS_KEY_CONNECTIONS] &&
	    r->stream_per_connection && r->connections > 1)
		return qs_policy_fail_line(
			at, s->key_line[QS_KEY_CONNECTIONS],
			"streams = one leaves nothing to spread over connections; "
			"remove connections");
	if (s->kind == QS_IN_DEFAULTS)
		return 0;
	if (!line_of(p, QS_KEY_MODE))
		return qs_policy_fail_line(at, r->line,
					   "the section has no mode; write mode = quic, "
					   "prefer or tcp here or in [defaults]");
	if (!qs_rule_maps(r))
		return 0;
	for (int key = QS_KEY_HEAD_START; key <= QS_KEY_BAD_CERTIFICATE; key++) {
		if (r->mode == QS_MODE_QUIC && s->key_line[key])
			return qs_policy_fail_line(at, s->key_line[key],
						   "mode = quic never falls back to TCP; remove "
						   "this key or write mode = prefer");
	}
	if (r->listen && !r->cert)
		return qs_policy_fail_line(at, r->line,
					   "a [listen] section in this mode needs a certificate; "
					   "write cert and key");
	if (r->keep_alive_ns >= r->idle_timeout_ns) {
		a = s->key_line[QS_KEY_KEEP_ALIVE], b = s->key_line[QS_KEY_IDLE_TIMEOUT];
		if (!a && !b)
			a = p->defaults.key_line[QS_KEY_KEEP_ALIVE];
		return qs_policy_fail_line(at, a > b ? a : b,
					   "keep-alive is not shorter than "
					   "idle-timeout; the connection would end "
					   "before it");
	}
	return check_endpoint(p);
}

/* End the section that is being read, if there is one. */
static int finish_section(struct qs_policy_parser *p)
{
	int ret = p->current.kind ? check_section(p) : 0;

	if (ret < 0)
		return ret;
	if (p->current.kind == QS_IN_DEFAULTS)
		p->defaults = p->current;
	else if (p->current.kind)
		p->rules[p->policy->n_rules++] = p->current.rule;
	return 0;
}

static int begin_defaults(struct qs_policy_parser *p, unsigned n_words)
{
	if (n_words != 1)
		return qs_policy_fail(&p->at, "[defaults] takes no host or port; write [defaults]");
	if (p->defaults.kind)
		return qs_policy_fail(&p->at,
				      "a second [defaults], the first is in line %d; make "
				      "them one",
				      p->defaults.rule.line);
	if (p->policy->n_rules)
		return qs_policy_fail(&p->at,
				      "[defaults] after line %d, which it would not apply to; "
				      "move it to the top",
				      p->rules[0].line);
	p->current = p->defaults;
	p->current.kind = QS_IN_DEFAULTS;
	p->current.rule.line = p->at.line;
	return 0;
}

static int begin_rule(struct qs_policy_parser *p, unsigned kind, char *host, char *port)
{
	struct qs_rule *rule = &p->current.rule;
	int ret;

	if (p->policy->n_rules == QS_POLICY_RULES_MAX)
		return qs_policy_fail(&p->at,
				      "more than %d sections; join some by CIDR, *.name or port "
				      "range",
				      QS_POLICY_RULES_MAX);
	if (p->policy->n_rules >= p->n_rules_max) /* counted wrongly: can't be */
		return qs_policy_fail(&p->at, "section not counted; report this");
	memset(&p->current, 0, sizeof(p->current));
	p->current.kind = kind;
	*rule = p->defaults.rule;
	rule->line = p->at.line;
	rule->listen = kind == QS_IN_LISTEN;
	if (rule->listen) { /* what only clients have */
		rule->server_name = rule->ca = NULL;
		rule->connections = 1;
		rule->stream_per_connection = false;
		rule->plain_on_bad_certificate = false;
	} else {
		rule->client_ca = NULL;
		rule->workers = 1;
	}
	ret = qs_value_host(&p->at, host, rule);
	if (ret == 0)
		ret = qs_value_ports(&p->at, port, rule);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < p->policy->n_rules; i++) {
		if (qs_rule_covers(&p->rules[i], rule))
			return qs_policy_fail(&p->at,
					      "this section can never match, line %d takes all "
					      "that it names; move it up or remove it",
					      p->rules[i].line);
	}
	return 0;
}

static int parse_header(struct qs_policy_parser *p, char *line)
{
	char *words[4], *c = line + 1;
	size_t len = strlen(line);
	unsigned n = 0, kind;
	int ret = finish_section(p);

	if (ret < 0)
		return ret;
	if (len < 2 || line[len - 1] != ']')
		return qs_policy_fail(&p->at, "a section header without \"]\" at its end; write "
					      "[connect HOST PORT]");
	line[len - 1] = '\0';
	while (n < 4) {
		while (is_blank(*c))
			c++;
		if (!*c)
			break;
		words[n++] = c;
		while (*c && !is_blank(*c))
			c++;
		if (*c)
			*c++ = '\0';
	}
	if (n == 0)
		return qs_policy_fail(&p->at,
				      "an empty section header; write [connect HOST PORT] or "
				      "[listen ADDRESS PORT]");
	if (strcmp(words[0], "defaults") == 0)
		return begin_defaults(p, n);
	if (strcmp(words[0], "connect") == 0)
		kind = QS_IN_CONNECT;
	else if (strcmp(words[0], "listen") == 0)
		kind = QS_IN_LISTEN;
	else
		return qs_policy_fail(&p->at,
				      "unknown section \"%s\"; there are [defaults], [connect "
				      "HOST PORT] and [listen ADDRESS PORT]",
				      quoted(words[0]));
	if (n != 3)
		return qs_policy_fail(&p->at,
				      "[%s] takes one host and one port with a space between; "
				      "write [%s %s 443]",
				      words[0], words[0],
				      kind == QS_IN_LISTEN ? "*" : "db.example.com");
	return begin_rule(p, kind, words[1], words[2]);
}

/* Bytes that can't be meant. `line` is not terminated yet. */
static int check_bytes(const struct qs_policy_place *at, const char *line, size_t len)
{
	if (len > QS_POLICY_LINE_MAX)
		return qs_policy_fail(at, "a line of %zu bytes; at most %d are possible", len,
				      QS_POLICY_LINE_MAX);
	if (memchr(line, '\0', len))
		return qs_policy_fail(at, "a NUL byte; save the file as plain UTF-8 text");
	if (at->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
		return qs_policy_fail(at, "a byte order mark; save the file without it");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return qs_policy_fail(
				at, "a control character (0x%02x) at column %zu; remove it", c,
				i + 1);
	}
	return 0;
}

static int parse_line(struct qs_policy_parser *p, char *line)
{
	for (char *c = line; *c; c++) {
		if (*c == '#' && (c == line || is_blank(c[-1]))) {
			*c = '\0';
			break;
		}
	}
	line = qs_policy_trim(line);
	if (*line == '\0')
		return 0;
	return *line == '[' ? parse_header(p, line) : qs_policy_parse_key(p, line);
}

static bool needs_names(const struct qs_rule *r)
{
	return !r->listen && (r->match == QS_MATCH_NAME || r->match == QS_MATCH_SUFFIX ||
			      (qs_rule_maps(r) && !r->server_name));
}

int qs_policy_parse_text(const struct qs_policy_place *at, char *text, size_t len,
			 struct qs_policy *policy, struct qs_rule *rules, unsigned n_rules_max)
{
	struct qs_policy_parser p = {
		.at = *at, .policy = policy, .rules = rules, .n_rules_max = n_rules_max};
	int ret;

	p.defaults.rule = (struct qs_rule){
		.alpn = QS_POLICY_ALPN_DEFAULT,
		.connections = 1,
		.workers = 1,
		.udp_owner = -1,
		.linger_ns = 10000 * QS_NS_PER_MS,
		.idle_timeout_ns = 30000 * QS_NS_PER_MS,
		.handshake_timeout_ns = 10000 * QS_NS_PER_MS,
		.migration = true,
		.head_start_ns = 200 * QS_NS_PER_MS,
		.retry_after_ns = 10000 * QS_NS_PER_MS,
	};
	for (size_t start = 0, end; start < len; start = end + 1) {
		char *newline = memchr(text + start, '\n', len - start);
		size_t stop;

		end = newline ? (size_t)(newline - text) : len;
		stop = end;
		if (newline && stop > start && text[stop - 1] == '\r')
			stop--;
		p.at.line++;
		ret = check_bytes(&p.at, text + start, stop - start);
		if (ret < 0)
			return ret;
		text[stop] = '\0'; /* at the very end it is the arena's own */
		ret = parse_line(&p, text + start);
		if (ret < 0)
			return ret;
	}
	ret = finish_section(&p);
	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < policy->n_rules; i++)
		policy->has_names |= needs_names(&rules[i]);
	return 0;
}
