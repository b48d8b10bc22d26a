/* SPDX-License-Identifier: MIT */
/* The values that may stand in a policy file: hosts, ports, names, paths, durations, words. */
#include "policy_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define quoted(s) qs_policy_quote(s).text

#define DURATION_MAX_NS (24 * 3600 * 1000 * QS_NS_PER_MS)
#define NAME_MAX_LEN 253
#define LABEL_MAX_LEN 63
#define ALPN_MAX_LEN 31 /* GnuTLS takes no longer name */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits only, at least one. Returns the end, NULL if there is none or it exceeds max. */
static const char *digits(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!is_digit(*s))
		return NULL;
	for (; is_digit(*s); s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max)
			return NULL;
	}
	*out = n;
	return s;
}

/* An address in text, v4-mapped ones as IPv4 with *prefix_shift bits less. False if it is none. */
static bool address(const char *s, int *family, uint8_t out[16], unsigned *prefix_shift)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memset(out, 0, 16);
	*prefix_shift = 0;
	if (inet_pton(AF_INET, s, out) == 1) {
		*family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, s, out) != 1)
		return false;
	*family = AF_INET6;
	if (memcmp(out, mapped, sizeof(mapped)) == 0) {
		*family = AF_INET;
		memcpy(out, out + 12, 4);
		memset(out + 4, 0, 12);
		*prefix_shift = 96;
	}
	return true;
}

static bool all_zero(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	return memcmp(addr, zero, sizeof(zero)) == 0;
}

/* True if a bit beyond the first `bits` is set. Clears those bits. */
static bool clear_host_bits(uint8_t addr[16], unsigned bits)
{
	bool was_set = false;

	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
		uint8_t cleared = (uint8_t)(addr[i] & (0xff00u >> keep));

		was_set |= cleared != addr[i];
		addr[i] = cleared;
	}
	return was_set;
}

static int cidr(const struct qs_policy_place *at, char *word, char *slash, struct qs_rule *rule)
{
	char net[INET6_ADDRSTRLEN] = "";
	unsigned shift, width;
	const char *end;
	uint64_t bits;

	*slash = '\0';
	if (!address(word, &rule->family, rule->addr, &shift))
		return qs_policy_fail(at,
				      "\"%s\" before \"/%s\" is not an address; "
				      "write 192.0.2.0/24 or 2001:db8::/32",
				      quoted(word), quoted(slash + 1));
	width = (rule->family == AF_INET ? 32 : 128);
	end = digits(slash + 1, width + shift, &bits);
	if (!end || *end)
		return qs_policy_fail(at, "bad prefix length \"/%s\"; write a number from 0 to %u",
				      quoted(slash + 1), width + shift);
	if (bits < shift)
		return qs_policy_fail(
			at, "\"%s/%u\" holds more than IPv4; write the block without ::ffff:",
			quoted(word), (unsigned)bits);
	rule->prefix_len = (unsigned)bits - shift;
	if (clear_host_bits(rule->addr, rule->prefix_len)) {
		inet_ntop(rule->family, rule->addr, net, sizeof(net));
		return qs_policy_fail(at, "\"%s/%u\" has bits set beyond the prefix; write %s/%u",
				      quoted(word), (unsigned)bits, net, rule->prefix_len);
	}
	rule->match = QS_MATCH_PREFIX;
	return 0;
}

int qs_value_host(const struct qs_policy_place *at, char *word, struct qs_rule *rule)
{
	char *slash = strchr(word, '/');
	unsigned shift;
	int ret;

	if (strcmp(word, "*") == 0) {
		rule->match = QS_MATCH_ANY;
		return 0;
	}
	if (strchr(word, '%'))
		return qs_policy_fail(at,
				      "scope ids are not supported: \"%s\"; write the address "
				      "without \"%%...\", it matches on every interface",
				      quoted(word));
	if (*word == '[')
		return qs_policy_fail(at,
				      "\"%s\" has brackets; write a bare address and the port "
				      "after a space",
				      quoted(word));
	if (slash) {
		ret = cidr(at, word, slash, rule);
		if (ret < 0)
			return ret;
	} else if (address(word, &rule->family, rule->addr, &shift)) {
		rule->match = QS_MATCH_PREFIX;
		rule->prefix_len = rule->family == AF_INET ? 32 : 128;
	}
	if (rule->match == QS_MATCH_PREFIX) {
		if (!rule->listen && all_zero(rule->addr) &&
		    rule->prefix_len == (rule->family == AF_INET ? 32 : 128))
			return qs_policy_fail(
				at, "\"%s\" as a destination means this host; write %s",
				quoted(word), rule->family == AF_INET ? "127.0.0.1" : "::1");
		return 0;
	}
	if (strchr(word, ':'))
		return qs_policy_fail(at,
				      "\"%s\" is not an IPv6 address; address and port stand "
				      "apart: [connect 192.0.2.1 443]",
				      quoted(word));
	if (rule->listen)
		return qs_policy_fail(at,
				      "\"%s\" is not an address; [listen] takes an address, "
				      "a CIDR block or *",
				      quoted(word));
	rule->match = QS_MATCH_NAME;
	rule->name = word;
	if (strncmp(word, "*.", 2) == 0) {
		rule->match = QS_MATCH_SUFFIX;
		word += 2;
	}
	return qs_value_name(at, "host name", word);
}

int qs_value_ports(const struct qs_policy_place *at, const char *word, struct qs_rule *rule)
{
	uint64_t lo = 0, hi;
	const char *end;

	if (strcmp(word, "*") == 0) {
		rule->port_lo = 0;
		rule->port_hi = UINT16_MAX;
		return 0;
	}
	end = digits(word, UINT16_MAX, &lo);
	hi = lo;
	if (end && *end == '-')
		end = digits(end + 1, UINT16_MAX, &hi);
	if (!end || *end || lo == 0)
		return qs_policy_fail(at,
				      "bad port \"%s\"; write a number from 1 to 65535, "
				      "a range such as 8000-8099, or *",
				      quoted(word));
	if (lo > hi)
		return qs_policy_fail(at, "the range \"%s\" is empty; write %u-%u", quoted(word),
				      (unsigned)hi, (unsigned)lo);
	rule->port_lo = (uint16_t)lo;
	rule->port_hi = (uint16_t)hi;
	return 0;
}

int qs_value_endpoint(const struct qs_policy_place *at, char *word, struct qs_rule *rule)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&rule->endpoint;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&rule->endpoint;
	char *host = word, *port, *close = NULL;
	bool bracketed = *word == '[';
	uint8_t addr[16];
	unsigned shift;
	uint64_t n = 0;
	int family;
	const char *end;

	if (strchr(word, '%'))
		return qs_policy_fail(at,
				      "scope ids are not supported: \"%s\"; use an address that "
				      "needs none",
				      quoted(word));
	if (bracketed) {
		host = word + 1;
		close = strchr(host, ']');
		if (!close || (close[1] && close[1] != ':'))
			return qs_policy_fail(at, "bad endpoint \"%s\"; write [2001:db8::1]:443",
					      quoted(word));
		port = close[1] ? close + 1 : NULL;
	} else {
		port = strchr(word, ':');
		if (port && strchr(port + 1, ':'))
			return qs_policy_fail(at,
					      "an IPv6 endpoint needs brackets: \"%s\"; "
					      "write [2001:db8::1]:443",
					      quoted(word));
	}
	if (port) {
		end = digits(port + 1, UINT16_MAX, &n);
		if (!end || *end || n == 0)
			return qs_policy_fail(at,
					      "bad port in endpoint \"%s\"; write a number from "
					      "1 to 65535, as in :443",
					      quoted(word));
		*port = '\0';
	}
	if (close)
		*close = '\0';
	rule->endpoint_port = (uint16_t)n;
	if (!bracketed && *host == '\0') /* ":443" */
		return 0;
	if (!bracketed && strcmp(host, "*") == 0) {
		rule->endpoint_any = true;
		return 0;
	}
	if (!address(host, &family, addr, &shift))
		return qs_policy_fail(at,
				      "\"%s\" is not an address; an endpoint is :PORT, "
				      "ADDRESS:PORT, [IPV6]:PORT or *:PORT, never a name",
				      quoted(host));
	if (bracketed && family == AF_INET && !shift)
		return qs_policy_fail(at, "an IPv4 endpoint has no brackets; write %s:443", host);
	rule->has_endpoint_addr = true;
	rule->endpoint.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		memcpy(&in4->sin_addr, addr, 4);
	else
		memcpy(&in6->sin6_addr, addr, 16);
	return 0;
}

/* The last label of a host name is never a number, else it would be an address in some form. */
static bool is_number_label(const char *s)
{
	if (s[0] == '0' && s[1] == 'x')
		return true;
	while (is_digit(*s))
		s++;
	return *s == '\0';
}

int qs_value_name(const struct qs_policy_place *at, const char *what, char *word)
{
	size_t len = strlen(word), label = 0;
	const char *last = word;

	if (len > NAME_MAX_LEN)
		return qs_policy_fail(at, "%s of %zu bytes: \"%s\"; at most %d are possible", what,
				      len, quoted(word), NAME_MAX_LEN);
	for (size_t i = 0; i <= len; i++) {
		char c = word[i];

		if (c >= 'A' && c <= 'Z')
			word[i] = c = (char)(c - 'A' + 'a');
		if (c == '.' || c == '\0') {
			if (label == 0)
				return qs_policy_fail(at,
						      "empty label in %s \"%s\"; write it without "
						      "a dot too many",
						      what, quoted(word));
			if (label > LABEL_MAX_LEN)
				return qs_policy_fail(at,
						      "a label of %zu bytes in %s \"%s\"; at most "
						      "%d are possible",
						      label, what, quoted(word), LABEL_MAX_LEN);
			if (last[0] == '-' || word[i - 1] == '-')
				return qs_policy_fail(at,
						      "a label of %s \"%s\" begins or ends with a "
						      "hyphen; correct it",
						      what, quoted(word));
			if (c == '.')
				last = word + i + 1;
			label = 0;
			continue;
		}
		if (c == '*')
			return qs_policy_fail(at,
					      "\"*\" in %s \"%s\"; it can only be the whole first "
					      "label of a section's host or of a "
					      "[listen] section's server-name: "
					      "*.example.com",
					      what, quoted(word));
		if ((unsigned char)c >= 0x80)
			return qs_policy_fail(at, "%s \"%s\" is not ASCII; write its xn-- form",
					      what, quoted(word));
		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
			return qs_policy_fail(at,
					      "\"%c\" in %s \"%s\"; letters, digits, hyphens and "
					      "dots are possible",
					      c, what, quoted(word));
		label++;
	}
	if (is_number_label(last))
		return qs_policy_fail(at,
				      "%s \"%s\" looks like an address but is none that can stand "
				      "here; write a name that does not end in a number",
				      what, quoted(word));
	return 0;
}

int qs_value_names(const struct qs_policy_place *at, const char *what, char *words)
{
	char *out = words, *save = NULL, *word, *star;
	int ret;

	for (word = strtok_r(words, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save)) {
		size_t len = strlen(word);

		star = strncmp(word, "*.", 2) == 0 ? word + 2 : word;
		ret = qs_value_name(at, what, star);
		if (ret < 0)
			return ret;
		if (out != words)
			*out++ = ' ';
		memmove(out, word, len);
		out += len;
	}
	if (out == words)
		return qs_policy_fail(at, "%s has no name; write one or remove the line", what);
	*out = '\0';
	return 0;
}

int qs_value_alpn(const struct qs_policy_place *at, const char *word)
{
	size_t len = strlen(word);

	if (len > ALPN_MAX_LEN)
		return qs_policy_fail(at, "alpn of %zu bytes: \"%s\"; at most %d are possible", len,
				      quoted(word), ALPN_MAX_LEN);
	for (const char *c = word; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == ',')
			return qs_policy_fail(at,
					      "bad alpn \"%s\"; write one protocol name without "
					      "spaces, quotes or commas",
					      quoted(word));
	}
	return 0;
}

int qs_value_path(const struct qs_policy_place *at, const char *key, const char *word)
{
	static_assert(QS_POLICY_LINE_MAX <= 4095, "no path on a line can be longer than PATH_MAX");
	if (*word == '/')
		return 0;
	return qs_policy_fail(at, "\"%s\" for %s is not an absolute path; %s", quoted(word), key,
			      *word == '"' || *word == '\'' ? "write it without quotes"
			      : *word == '~'		    ? "write the home directory out"
							    : "begin it with /");
}

int qs_value_duration(const struct qs_policy_place *at, const char *key, const char *word,
		      uint64_t min_ns, uint64_t *out_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ms", QS_NS_PER_MS},
		{"s", 1000 * QS_NS_PER_MS},
		{"m", 60 * 1000 * QS_NS_PER_MS},
		{"h", 3600 * 1000 * QS_NS_PER_MS},
	};
	uint64_t n, unit = 0;
	const char *end = digits(word, DURATION_MAX_NS / QS_NS_PER_MS, &n);

	for (size_t i = 0; end && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) == 0)
			unit = units[i].ns;
	}
	if (end && *end == '\0')
		return qs_policy_fail(at, "%s = %s has no unit; write %ss or %sms", key,
				      quoted(word), quoted(word), quoted(word));
	if (!unit)
		return qs_policy_fail(at,
				      "bad duration \"%s\" for %s; write a whole number and ms, s, "
				      "m or h, as in 10s, at most 24h",
				      quoted(word), key);
	if (n > DURATION_MAX_NS / unit)
		return qs_policy_fail(at, "%s = %s is too long; 24h is the most", key,
				      quoted(word));
	if (n * unit < min_ns)
		return qs_policy_fail(at, "%s = %s is too short; %ums is the least", key,
				      quoted(word), (unsigned)(min_ns / QS_NS_PER_MS));
	*out_ns = n * unit;
	return 0;
}

int qs_value_number(const struct qs_policy_place *at, const char *key, const char *word,
		    unsigned lo, unsigned hi, unsigned *out)
{
	uint64_t n;
	const char *end = digits(word, hi, &n);

	if (!end || *end || n < lo)
		return qs_policy_fail(at, "bad value \"%s\" for %s; write a number from %u to %u",
				      quoted(word), key, lo, hi);
	*out = (unsigned)n;
	return 0;
}

int qs_value_choice(const struct qs_policy_place *at, const char *key, const char *word,
		    const char *const *names, unsigned n_names)
{
	char list[64];
	size_t used = 0;

	for (unsigned i = 0; i < n_names; i++) {
		if (strcmp(word, names[i]) == 0)
			return (int)i;
	}
	for (unsigned i = 0; i < n_names && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i == 0 ? "" : (i + 1 < n_names ? ", " : " or "), names[i]);
	return qs_policy_fail(at, "bad value \"%s\" for %s; write %s", quoted(word), key, list);
}
