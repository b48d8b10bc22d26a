/* SPDX-License-Identifier: MIT */
/* What the files of the policy parser share among themselves. Nobody else includes this. */
#ifndef QS_POLICY_PARTS_H
#define QS_POLICY_PARTS_H

#include "policy.h"

#include <assert.h>

#define QS_NS_PER_MS UINT64_C(1000000)

/* Where the parser stands, for messages. */
struct qs_policy_place {
	const char *path;
	int line; /* 0: the file as a whole */
	struct qs_policy_error *err;
};

/* Fill in at->err with "PATH:LINE: " and the message (of the given line). Returns -EINVAL. */
int qs_policy_fail(const struct qs_policy_place *at, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int qs_policy_fail_line(const struct qs_policy_place *at, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A string cut to a length that fits a message, for "%s" within one full expression. */
struct qs_policy_quote {
	char text[68];
};
struct qs_policy_quote qs_policy_quote(const char *s);

/* Kinds of sections, as bits. */
enum { QS_IN_DEFAULTS = 1, QS_IN_CONNECT = 2, QS_IN_LISTEN = 4, QS_IN_ANY = 7 };

enum qs_policy_key {
	QS_KEY_MODE,
	QS_KEY_ENDPOINT,
	QS_KEY_ALPN,
	QS_KEY_SERVER_NAME,
	QS_KEY_CA,
	QS_KEY_CERT,
	QS_KEY_KEY,
	QS_KEY_CLIENT_CA,
	QS_KEY_CONNECTIONS,
	QS_KEY_STREAMS,
	QS_KEY_WORKERS,
	QS_KEY_LINGER,
	QS_KEY_IDLE_TIMEOUT,
	QS_KEY_HANDSHAKE_TIMEOUT,
	QS_KEY_KEEP_ALIVE,
	QS_KEY_CONGESTION,
	QS_KEY_STEERING,
	QS_KEY_UDP_OWNER,
	QS_KEY_ENGINE,
	QS_KEY_EARLY_DATA,
	QS_KEY_MIGRATION,
	QS_KEY_HOST_ID,
	QS_KEY_CID_KEY,
	QS_KEY_HEAD_START,
	QS_KEY_RETRY_AFTER,
	QS_KEY_BAD_CERTIFICATE,
	QS_KEY_COUNT
};

struct qs_policy_section {
	struct qs_rule rule;
	unsigned kind; /* QS_IN_DEFAULTS, QS_IN_CONNECT, QS_IN_LISTEN; 0 before the first */
	int key_line[QS_KEY_COUNT]; /* 0: not in this section */
};

struct qs_policy_parser {
	struct qs_policy_place at;
	struct qs_policy *policy;
	struct qs_rule *rules;
	unsigned n_rules_max;
	struct qs_policy_section defaults;
	struct qs_policy_section current;
};

/* Cut blanks off both ends, in place. */
char *qs_policy_trim(char *s);

/* Take "key = value" into p->current. `line` is changed in place. 0 or -EINVAL. */
int qs_policy_parse_key(struct qs_policy_parser *p, char *line);

/*
 * Parse the whole of `text` (NUL-terminated at text[len], changed in place and referred to by
 * the result). rules has room for n_rules_max. Returns 0 or -EINVAL.
 */
int qs_policy_parse_text(const struct qs_policy_place *at, char *text, size_t len,
			 struct qs_policy *policy, struct qs_rule *rules, unsigned n_rules_max);

/* True if nothing that `late` matches gets past `early`. */
bool qs_rule_covers(const struct qs_rule *early, const struct qs_rule *late);

/*
 * Values: each returns 0 or -EINVAL with at->err filled in. `word` is changed in place where
 * a case is folded. `key` is for messages.
 */
int qs_value_host(const struct qs_policy_place *at, char *word, struct qs_rule *rule);
int qs_value_ports(const struct qs_policy_place *at, const char *word, struct qs_rule *rule);
int qs_value_endpoint(const struct qs_policy_place *at, char *word, struct qs_rule *rule);
int qs_value_name(const struct qs_policy_place *at, const char *what, char *word);
/* Several, with blanks or commas between them, "*.name" too; leaves one blank between two. */
int qs_value_names(const struct qs_policy_place *at, const char *what, char *words);
int qs_value_alpn(const struct qs_policy_place *at, const char *word);
int qs_value_path(const struct qs_policy_place *at, const char *key, const char *word);
int qs_value_duration(const struct qs_policy_place *at, const char *key, const char *word,
		      uint64_t min_ns, uint64_t *out_ns);
int qs_value_number(const struct qs_policy_place *at, const char *key, const char *word,
		    unsigned lo, unsigned hi, unsigned *out);
int qs_value_choice(const struct qs_policy_place *at, const char *key, const char *word,
		    const char *const *names, unsigned n_names);

#endif
