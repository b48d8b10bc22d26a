/* SPDX-License-Identifier: MIT */
/* Which section of the policy decides about a socket. */
#include "policy_parts.h"

#include <netinet/in.h>
#include <string.h>

/* An address in the form in which it is compared: never v4-mapped. */
struct target {
	int family;
	uint8_t addr[16];
	uint16_t port;
};

static bool target_from(const struct sockaddr *sa, struct target *t)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memset(t, 0, sizeof(*t));
	if (sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof(in4));
		t->family = AF_INET;
		t->port = ntohs(in4.sin_port);
		memcpy(t->addr, &in4.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		t->port = ntohs(in6.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			t->family = AF_INET;
			memcpy(t->addr, in6.sin6_addr.s6_addr + 12, 4);
		} else {
			t->family = AF_INET6;
			memcpy(t->addr, &in6.sin6_addr, 16);
		}
	} else {
		return false;
	}
	return true;
}

/* The kernel takes the unspecified address as a destination for loopback. */
static void unspecified_to_loopback(struct target *t)
{
	static const uint8_t zero[16];

	if (memcmp(t->addr, zero, sizeof(zero)) != 0)
		return;
	if (t->family == AF_INET)
		t->addr[0] = 127, t->addr[3] = 1;
	else
		t->addr[15] = 1;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* `pattern` is in lower case already; a final dot of `name` (a rooted name) does not count. */
static bool name_matches(const struct qs_rule *rule, const char *name)
{
	const char *pattern = rule->name;
	size_t name_len = strlen(name), len;

	if (name_len && name[name_len - 1] == '.')
		name_len--;
	if (rule->match == QS_MATCH_SUFFIX) {
		pattern++; /* leaves ".example.com" */
		len = strlen(pattern);
		if (name_len <= len)
			return false;
		name += name_len - len;
	} else {
		len = strlen(pattern);
		if (name_len != len)
			return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (fold(name[i]) != pattern[i])
			return false;
	}
	return true;
}

/* The first of `names` that the rule's name pattern matches, or NULL. */
static const char *first_match(const struct qs_rule *rule, const char *const *names,
			       unsigned n_names)
{
	for (unsigned i = 0; i < n_names; i++) {
		if (name_matches(rule, names[i]))
			return names[i];
	}
	return NULL;
}

static const struct qs_rule *find(const struct qs_policy *policy, bool listen,
				  const struct target *t, const char *const *names,
				  unsigned n_names)
{
	for (unsigned i = 0; i < policy->n_rules; i++) {
		const struct qs_rule *rule = &policy->rules[i];
		bool hit = false;

		if (rule->listen != listen || t->port < rule->port_lo || t->port > rule->port_hi)
			continue;
		switch (rule->match) {
		case QS_MATCH_ANY:
			hit = true;
			break;
		case QS_MATCH_PREFIX:
			hit = rule->family == t->family &&
			      bits_equal(rule->addr, t->addr, rule->prefix_len);
			break;
		case QS_MATCH_NAME:
		case QS_MATCH_SUFFIX:
			hit = first_match(rule, names, n_names) != NULL;
			break;
		}
		if (hit)
			return rule;
	}
	return NULL;
}

const struct qs_rule *qs_policy_find_connect(const struct qs_policy *policy,
					     const struct sockaddr *dest, const char *const *names,
					     unsigned n_names)
{
	struct target t;

	if (!target_from(dest, &t))
		return NULL;
	unspecified_to_loopback(&t);
	return find(policy, false, &t, names, n_names);
}

const struct qs_rule *qs_policy_find_listen(const struct qs_policy *policy,
					    const struct sockaddr *local)
{
	struct target t;

	return target_from(local, &t) ? find(policy, true, &t, NULL, 0) : NULL;
}

const char *qs_rule_server_name(const struct qs_rule *rule, const char *const *names,
				unsigned n_names)
{
	if (rule->server_name)
		return rule->server_name;
	if (rule->match == QS_MATCH_NAME)
		return rule->name;
	if (rule->match == QS_MATCH_SUFFIX)
		return first_match(rule, names, n_names);
	return n_names ? names[0] : NULL;
}

bool qs_rule_covers(const struct qs_rule *early, const struct qs_rule *late)
{
	if (early->listen != late->listen || early->port_lo > late->port_lo ||
	    early->port_hi < late->port_hi)
		return false;
	switch (early->match) {
	case QS_MATCH_ANY:
		return true;
	case QS_MATCH_PREFIX:
		return late->match == QS_MATCH_PREFIX && early->family == late->family &&
		       early->prefix_len <= late->prefix_len &&
		       bits_equal(early->addr, late->addr, early->prefix_len);
	case QS_MATCH_NAME:
		return late->match == QS_MATCH_NAME && strcmp(early->name, late->name) == 0;
	case QS_MATCH_SUFFIX: /* "*.b.c" has all that is below it, "*.b.c" and "*.a.b.c" too */
		if (late->match == QS_MATCH_SUFFIX && strcmp(early->name, late->name) == 0)
			return true;
		return (late->match == QS_MATCH_NAME || late->match == QS_MATCH_SUFFIX) &&
		       name_matches(early,
				    late->match == QS_MATCH_SUFFIX ? late->name + 2 : late->name);
	}
	return false;
}
