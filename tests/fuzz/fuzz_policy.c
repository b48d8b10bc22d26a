/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a policy file; what parses is looked through, asked and freed. */
#include "policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

static void check_error(const struct qs_policy_error *err)
{
	size_t len = strnlen(err->text, sizeof(err->text));

	must(err->line >= 0);
	must(len > 0 && len < sizeof(err->text));
	must(strncmp(err->text, "policy", 6) == 0);
	must(strstr(err->text, "; ") != NULL);
	must(memchr(err->text, '\n', len) == NULL);
}

static void check_rule(const struct qs_rule *r)
{
	must(r->mode == QS_MODE_TCP || r->mode == QS_MODE_QUIC || r->mode == QS_MODE_PREFER);
	must(r->retry_after_ns > 0 && (!r->listen || !r->plain_on_bad_certificate));
	must(r->line > 0 && r->port_lo <= r->port_hi);
	must(r->alpn && strlen(r->alpn) >= 1 && strlen(r->alpn) <= 255);
	must(!r->server_name || (!r->listen && strlen(r->server_name) <= 253));
	must((r->name != NULL) == (r->match == QS_MATCH_NAME || r->match == QS_MATCH_SUFFIX));
	must(!r->name || !r->listen);
	must(!r->cert == !r->key);
	must(!r->ca || (!r->listen && r->ca[0] == '/'));
	must(!r->client_ca || (r->listen && r->client_ca[0] == '/'));
	must(!r->listen || r->mode == QS_MODE_TCP || r->cert);
	must(r->workers >= 1 && r->workers <= QS_POLICY_WORKERS_MAX);
	must(r->connections >= 1 && r->connections <= QS_POLICY_CONNECTIONS_MAX);
	must(r->mode == QS_MODE_TCP || r->keep_alive_ns < r->idle_timeout_ns);
	must(r->linger_ns <= UINT64_C(86400000000000));
	must(!r->has_endpoint_addr || r->endpoint.ss_family == AF_INET ||
	     r->endpoint.ss_family == AF_INET6);
	must(!(r->has_endpoint_addr && r->endpoint_any));
	must(r->match != QS_MATCH_PREFIX || (r->family == AF_INET && r->prefix_len <= 32) ||
	     (r->family == AF_INET6 && r->prefix_len <= 128));
}

static void ask(const struct qs_policy *policy, const char *address, uint16_t port)
{
	static const char *const names[] = {"db.example.com", "a.b.EXAMPLE.com.", "", "."};
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	const struct qs_rule *rule;

	if (inet_pton(AF_INET, address, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
	} else {
		must(inet_pton(AF_INET6, address, &in6->sin6_addr) == 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
	}
	for (unsigned n = 0; n <= 4; n += 2) {
		rule = qs_policy_find_connect(policy, (struct sockaddr *)&ss, names, n);
		must(!rule || !rule->listen);
		if (rule)
			qs_rule_server_name(rule, names, n);
	}
	rule = qs_policy_find_listen(policy, (struct sockaddr *)&ss);
	must(!rule || rule->listen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const addresses[] = {
		"127.0.0.1", "0.0.0.0", "192.0.2.1",   "10.0.0.1",
		"::1",	     "::",	"2001:db8::1", "::ffff:10.0.0.1"};
	struct qs_policy_error err = {.line = -1};
	struct qs_policy *policy;
	int ret = qs_policy_parse("policy", (const char *)data, size, &policy, &err);

	if (ret < 0) {
		must(ret == -EINVAL && !policy);
		check_error(&err);
		return 0;
	}
	must(policy && policy->n_rules <= QS_POLICY_RULES_MAX);
	for (unsigned i = 0; i < policy->n_rules; i++)
		check_rule(&policy->rules[i]);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		ask(policy, addresses[i], 443);
		ask(policy, addresses[i], 5432);
		ask(policy, addresses[i], 0);
	}
	qs_policy_free(policy);
	return 0;
}
