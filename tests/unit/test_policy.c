/* SPDX-License-Identifier: MIT */
/* The policy file: what each key, host, port and endpoint becomes. */
#include "policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct qs_policy *parse(const char *text)
{
	struct qs_policy *policy = NULL;
	struct qs_policy_error err = {0};
	int ret = qs_policy_parse("/t/p.conf", text, strlen(text), &policy, &err);

	if (ret != 0)
		fail_msg("\"%s\": %d: %s", text, ret, err.text);
	assert_non_null(policy);
	return policy;
}

static void test_empty(void **state)
{
	static const char *const texts[] = {"", "\n", "# nothing", "  \t\r\n\n# x\n",
					    "[defaults]\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct qs_policy *policy = parse(texts[i]);

		assert_int_equal(policy->n_rules, 0);
		assert_int_equal(policy->placement, QS_PLACEMENT_PROCESS);
		assert_false(policy->has_names);
		assert_string_equal(policy->path, "/t/p.conf");
		qs_policy_free(policy);
	}
	qs_policy_free(NULL);
}

static void test_defaults(void **state)
{
	struct qs_policy *policy = parse("[connect * *]\nmode=quic\n\n[listen * *]\nmode=tcp");
	const struct qs_rule *r = &policy->rules[0];

	(void)state;
	assert_int_equal(policy->n_rules, 2);
	assert_int_equal(r->mode, QS_MODE_QUIC);
	assert_false(r->listen);
	assert_int_equal(r->line, 1);
	assert_int_equal(r->match, QS_MATCH_ANY);
	assert_int_equal(r->port_lo, 0);
	assert_int_equal(r->port_hi, 65535);
	assert_false(r->has_endpoint_addr);
	assert_false(r->endpoint_any);
	assert_int_equal(r->endpoint_port, 0);
	assert_string_equal(r->alpn, "quicshim");
	assert_null(r->server_name);
	assert_null(r->ca);
	assert_null(r->cert);
	assert_null(r->key);
	assert_null(r->client_ca);
	assert_null(r->name);
	assert_int_equal(r->connections, 1);
	assert_int_equal(r->workers, 1);
	assert_int_equal(r->udp_owner, -1);
	assert_false(r->stream_per_connection);
	assert_int_equal(r->linger_ns, 10 * SECOND);
	assert_int_equal(r->idle_timeout_ns, 30 * SECOND);
	assert_int_equal(r->handshake_timeout_ns, 10 * SECOND);
	assert_int_equal(r->keep_alive_ns, 0);
	assert_int_equal(r->congestion, QS_CC_CUBIC);
	assert_true(r->migration);
	assert_int_equal(r->host_id, 0);
	assert_null(r->cid_key);
	assert_int_equal(policy->rules[1].mode, QS_MODE_TCP);
	assert_true(policy->rules[1].listen);
	assert_int_equal(policy->rules[1].line, 4);
	qs_policy_free(policy);
}

static void assert_all_keys(const struct qs_rule *r)
{
	assert_int_equal(r->mode, QS_MODE_QUIC);
	assert_int_equal(r->endpoint_port, 443);
	assert_string_equal(r->alpn, "postgres");
	assert_string_equal(r->cert, "/c d/e=f#.pem");
	assert_string_equal(r->key, "/k");
	assert_int_equal(r->linger_ns, 0);
	assert_int_equal(r->idle_timeout_ns, 300 * SECOND);
	assert_int_equal(r->handshake_timeout_ns, SECOND / 2);
	assert_int_equal(r->keep_alive_ns, 20 * SECOND);
	assert_int_equal(r->congestion, QS_CC_BBR);
	assert_false(r->migration);
	if (r->listen) {
		assert_null(r->server_name);
		assert_null(r->ca);
		assert_string_equal(r->client_ca, "/clients");
		assert_int_equal(r->workers, 16);
		assert_int_equal(r->steering, QS_STEERING_HASH);
		assert_int_equal(r->host_id, 65535);
		assert_string_equal(r->cid_key, "/cid");
		assert_int_equal(r->udp_owner, 33);
		assert_int_equal(r->connections, 1);
		assert_false(r->stream_per_connection);
	} else {
		assert_string_equal(r->server_name, "db.example.com");
		assert_string_equal(r->ca, "/ca");
		assert_null(r->client_ca);
		assert_int_equal(r->workers, 1);
		assert_int_equal(r->connections, 64);
	}
}

#define COMMON_KEYS                                                                                \
	"mode = quic\nendpoint=:443\nalpn\t=\tpostgres  \n  cert = /c d/e=f#.pem # comment\n"      \
	"key=/k\nlinger=0s\nidle-timeout=5m\nhandshake-timeout=500ms\nkeep-alive=20s\n"            \
	"congestion=bbr\nearly-data=no\nmigration=no\n"

static void test_prefer(void **state)
{
	struct qs_policy *policy =
		parse("[defaults]\non-bad-certificate=tcp\nretry-after=3m\n"
		      "[connect 192.0.2.1 80]\nmode=prefer\nhead-start=0s\n"
		      "[connect 192.0.2.2 80]\nmode=prefer\non-bad-certificate=fail\n"
		      "[connect 192.0.2.3 80]\nmode=quic\n"
		      "[listen * 80]\nmode=prefer\ncert=/c\nkey=/k\n");
	const struct qs_rule *r = policy->rules;

	(void)state;
	assert_int_equal(r[0].mode, QS_MODE_PREFER);
	assert_int_equal(r[0].head_start_ns, 0);
	assert_int_equal(r[0].retry_after_ns, 180 * SECOND);
	assert_true(r[0].plain_on_bad_certificate);
	assert_int_equal(r[1].head_start_ns, SECOND / 5);
	assert_false(r[1].plain_on_bad_certificate);
	assert_true(qs_rule_maps(&r[0]) && qs_rule_maps(&r[2]));
	assert_int_equal(r[3].mode, QS_MODE_PREFER);
	assert_false(r[3].plain_on_bad_certificate);
	assert_false(qs_rule_maps(NULL));
	assert_true(policy->has_names);
	qs_policy_free(policy);
}

static void test_every_key(void **state)
{
	struct qs_policy *policy;

	(void)state;
	/* in their own sections */
	policy = parse("[connect * *]\n" COMMON_KEYS
		       "server-name=DB.example.com\nca=/ca\nconnections=64\nstreams=shared\n"
		       "[listen * *]\n" COMMON_KEYS "client-ca=/clients\nworkers=16\n"
		       "steering=hash\nudp-owner=33\nhost-id=65535\ncid-key=/cid\n");
	assert_int_equal(policy->n_rules, 2);
	assert_all_keys(&policy->rules[0]);
	assert_all_keys(&policy->rules[1]);
	assert_false(policy->has_names);
	qs_policy_free(policy);
	/* all of them in [defaults], CRLF, no newline at the end */
	policy = parse(
		"[defaults]\r\n" COMMON_KEYS
		"server-name=db.example.com\r\nca=/ca\r\nconnections=64\r\nstreams=shared\r\n"
		"client-ca=/"
		"clients\r\nworkers=16\r\nsteering=hash\r\nudp-owner=33\r\nhost-id=65535\r\ncid-"
		"key=/cid\r\nengine=thread\r\n\r\n[connect * *]\r\n[listen * *]");
	assert_int_equal(policy->n_rules, 2);
	assert_int_equal(policy->placement, QS_PLACEMENT_THREAD);
	assert_all_keys(&policy->rules[0]);
	assert_all_keys(&policy->rules[1]);
	qs_policy_free(policy);
	/* a server has several names, and none of those that clients ask for */
	policy = parse("[defaults]\nmode=quic\nserver-name=c.test\ncert=/c\nkey=/k\n"
		       "[listen * 1]\nserver-name = WWW.a.test ,*.b.test\t c.test\n[listen * 2]\n");
	assert_string_equal(policy->rules[0].server_names, "www.a.test *.b.test c.test");
	assert_null(policy->rules[0].server_name);
	assert_null(policy->rules[1].server_names);
	qs_policy_free(policy);
	/* a section overrules [defaults] */
	policy = parse("[defaults]\nmode=quic\nalpn=a\nconnections=4\nendpoint=192.0.2.1:1\nca=/a\n"
		       "engine=process\n"
		       "[connect 10.0.0.1 1]\nalpn=b\nstreams=one\nendpoint=:2\n[connect * "
		       "*]\nmode=tcp\n");
	assert_string_equal(policy->rules[0].alpn, "b");
	assert_true(policy->rules[0].stream_per_connection);
	assert_false(policy->rules[0].has_endpoint_addr);
	assert_int_equal(policy->rules[0].endpoint.ss_family, 0);
	assert_int_equal(policy->rules[0].endpoint_port, 2);
	assert_string_equal(policy->rules[1].alpn, "a");
	assert_int_equal(policy->rules[1].mode, QS_MODE_TCP);
	assert_int_equal(policy->rules[1].endpoint.ss_family, AF_INET);
	qs_policy_free(policy);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
		{"100ms", SECOND / 10},	   {"1s", SECOND},
		{"007s", 7 * SECOND},	   {"90s", 90 * SECOND},
		{"5m", 300 * SECOND},	   {"24h", 86400 * SECOND},
		{"1440m", 86400 * SECOND}, {"86400000ms", 86400 * SECOND},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qs_policy *policy;

		snprintf(text, sizeof(text), "[connect * *]\nmode=quic\nidle-timeout=%s",
			 cases[i].text);
		policy = parse(text);
		assert_int_equal(policy->rules[0].idle_timeout_ns, cases[i].ns);
		qs_policy_free(policy);
	}
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text, *addr;
		bool listen_only, any;
		unsigned port;
	} cases[] = {
		{":443", NULL, false, false, 443},
		{"192.0.2.1:443", "192.0.2.1", false, false, 443},
		{"192.0.2.1", "192.0.2.1", false, false, 0},
		{"[2001:db8::1]:65535", "2001:db8::1", false, false, 65535},
		{"[2001:DB8::1]", "2001:db8::1", false, false, 0},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1", false, false, 1},
		{"*:443", NULL, true, true, 443},
		{"*", NULL, true, true, 0},
		{"0.0.0.0:443", "0.0.0.0", true, false, 443},
		{"[::]:443", "::", true, false, 443},
	};
	char text[256], addr[INET6_ADDRSTRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int listen = 0; listen < 2; listen++) {
			struct qs_policy *policy;
			const struct qs_rule *r;

			snprintf(text, sizeof(text),
				 "[%s * 80]\nmode=quic\ncert=/c\nkey=/k\nendpoint = %s\n",
				 listen ? "listen" : "connect", cases[i].text);
			if (!listen && cases[i].listen_only)
				continue; /* test_policy_errors.c */
			policy = parse(text);
			r = &policy->rules[0];
			assert_int_equal(r->endpoint_port, cases[i].port);
			assert_int_equal(r->endpoint_any, cases[i].any);
			assert_int_equal(r->has_endpoint_addr, cases[i].addr != NULL);
			if (cases[i].addr) {
				const struct sockaddr_in *in4 = (const void *)&r->endpoint;
				const struct sockaddr_in6 *in6 = (const void *)&r->endpoint;

				assert_int_equal(r->endpoint.ss_family,
						 strchr(cases[i].addr, ':') ? AF_INET6 : AF_INET);
				assert_int_equal(in4->sin_port, 0);
				inet_ntop(r->endpoint.ss_family,
					  r->endpoint.ss_family == AF_INET
						  ? (const void *)&in4->sin_addr
						  : (const void *)&in6->sin6_addr,
					  addr, sizeof(addr));
				assert_string_equal(addr, cases[i].addr);
			}
			qs_policy_free(policy);
		}
	}
}

static void test_hosts(void **state)
{
	static const struct {
		const char *header, *addr, *name;
		enum qs_match match;
		unsigned prefix_len, lo, hi;
	} cases[] = {
		{"connect 192.0.2.1 1", "192.0.2.1", NULL, QS_MATCH_PREFIX, 32, 1, 1},
		{"connect 192.0.2.0/24 65535", "192.0.2.0", NULL, QS_MATCH_PREFIX, 24, 65535,
		 65535},
		{"connect 0.0.0.0/0 1-65535", "0.0.0.0", NULL, QS_MATCH_PREFIX, 0, 1, 65535},
		{"connect 2001:DB8::/32 *", "2001:db8::", NULL, QS_MATCH_PREFIX, 32, 0, 65535},
		{"connect 2001:db8:8000::/33 5-5", "2001:db8:8000::", NULL, QS_MATCH_PREFIX, 33, 5,
		 5},
		{"connect ::/0 80", "::", NULL, QS_MATCH_PREFIX, 0, 80, 80},
		{"connect ::ffff:192.0.2.1 80", "192.0.2.1", NULL, QS_MATCH_PREFIX, 32, 80, 80},
		{"connect ::ffff:10.0.0.0/104 80", "10.0.0.0", NULL, QS_MATCH_PREFIX, 8, 80, 80},
		{"listen 0.0.0.0 80", "0.0.0.0", NULL, QS_MATCH_PREFIX, 32, 80, 80},
		{"listen :: 8000-8099", "::", NULL, QS_MATCH_PREFIX, 128, 8000, 8099},
		{"listen * 80", NULL, NULL, QS_MATCH_ANY, 0, 80, 80},
		{"connect DB_1.Example.com 80", NULL, "db_1.example.com", QS_MATCH_NAME, 0, 80, 80},
		{"connect localhost 80", NULL, "localhost", QS_MATCH_NAME, 0, 80, 80},
		{"connect 1.2.3.4.com 80", NULL, "1.2.3.4.com", QS_MATCH_NAME, 0, 80, 80},
		{"\t connect \t*.EXAMPLE.com\t 80  ", NULL, "*.example.com", QS_MATCH_SUFFIX, 0, 80,
		 80},
	};
	char text[256], addr[INET6_ADDRSTRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qs_policy *policy;
		const struct qs_rule *r;

		snprintf(text, sizeof(text), "\n  [%s]\t# c\nmode=tcp", cases[i].header);
		policy = parse(text);
		r = &policy->rules[0];
		assert_int_equal(r->line, 2);
		assert_int_equal(r->match, cases[i].match);
		assert_int_equal(r->port_lo, cases[i].lo);
		assert_int_equal(r->port_hi, cases[i].hi);
		if (cases[i].name)
			assert_string_equal(r->name, cases[i].name);
		else
			assert_null(r->name);
		assert_int_equal(policy->has_names, cases[i].name != NULL);
		if (cases[i].addr) {
			assert_int_equal(r->prefix_len, cases[i].prefix_len);
			inet_ntop(r->family, r->addr, addr, sizeof(addr));
			assert_string_equal(addr, cases[i].addr);
		}
		qs_policy_free(policy);
	}
}

static void test_has_names(void **state)
{
	static const struct {
		const char *text;
		bool has_names;
	} cases[] = {
		{"[connect 10.0.0.1 1]\nmode=quic\n", true},
		{"[connect 10.0.0.1 1]\nmode=quic\nserver-name=a.b\n", false},
		{"[connect 10.0.0.1 1]\nmode=tcp\n", false},
		{"[connect a.b 1]\nmode=tcp\n", true},
		{"[connect *.b 1]\nmode=quic\nserver-name=a.b\n", true},
		{"[listen 10.0.0.1 1]\nmode=quic\ncert=/c\nkey=/k\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qs_policy *policy = parse(cases[i].text);

		assert_int_equal(policy->has_names, cases[i].has_names);
		qs_policy_free(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	  cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_prefer),	  cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_durations), cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_hosts),	  cmocka_unit_test(test_has_names),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
