/* SPDX-License-Identifier: MIT */
/* Which section decides: addresses, blocks, ports, host names, order. */
#include "policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct qs_policy *parse(const char *text)
{
	struct qs_policy *policy = NULL;
	struct qs_policy_error err = {0};

	if (qs_policy_parse("p", text, strlen(text), &policy, &err) != 0)
		fail_msg("\"%s\": %s", text, err.text);
	return policy;
}

static struct sockaddr_storage sockaddr(const char *addr, unsigned port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (inet_pton(AF_INET, addr, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, addr, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		in6->sin6_scope_id = 3; /* never looked at */
	}
	return ss;
}

/* The line of the section that decides, 0 for none. `names` are split at commas. */
static int connect_line(const struct qs_policy *policy, const char *addr, unsigned port,
			const char *names)
{
	struct sockaddr_storage ss = sockaddr(addr, port);
	const struct qs_rule *rule;
	const char *list[8];
	char buf[256];
	unsigned n = 0;

	snprintf(buf, sizeof(buf), "%s", names ? names : "");
	for (char *save, *c = strtok_r(buf, ",", &save); c; c = strtok_r(NULL, ",", &save))
		list[n++] = c;
	rule = qs_policy_find_connect(policy, (struct sockaddr *)&ss, n ? list : NULL, n);
	return rule ? rule->line : 0;
}

static int listen_line(const struct qs_policy *policy, const char *addr, unsigned port)
{
	struct sockaddr_storage ss = sockaddr(addr, port);
	const struct qs_rule *rule = qs_policy_find_listen(policy, (struct sockaddr *)&ss);

	return rule ? rule->line : 0;
}

struct match_case {
	const char *host; /* of the one section, port 80-90 */
	const char *addr, *names;
	unsigned port;
	bool hit;
};

static void test_connect(void **state)
{
	static const struct match_case cases[] = {
		{"*", "192.0.2.1", NULL, 80, true},
		{"*", "2001:db8::1", NULL, 90, true},
		{"*", "192.0.2.1", NULL, 79, false},
		{"*", "192.0.2.1", NULL, 91, false},
		{"*", "192.0.2.1", NULL, 0, false},
		{"192.0.2.1", "192.0.2.1", NULL, 80, true},
		{"192.0.2.1", "192.0.2.2", NULL, 80, false},
		{"192.0.2.1", "::ffff:192.0.2.1", NULL, 80, true},
		{"192.0.2.1", "::192.0.2.1", NULL, 80, false},
		{"::ffff:192.0.2.1", "192.0.2.1", NULL, 80, true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1", NULL, 80, true},
		{"10.0.0.0/8", "10.255.0.1", NULL, 80, true},
		{"10.0.0.0/8", "::ffff:10.255.0.1", NULL, 80, true},
		{"10.0.0.0/8", "11.0.0.1", NULL, 80, false},
		{"10.0.0.0/8", "a00::1", NULL, 80, false}, /* the same first octet */
		{"10.1.128.0/17", "10.1.128.1", NULL, 80, true},
		{"10.1.128.0/17", "10.1.127.255", NULL, 80, false},
		{"10.1.2.4/31", "10.1.2.5", NULL, 80, true},
		{"10.1.2.4/31", "10.1.2.6", NULL, 80, false},
		{"0.0.0.0/0", "203.0.113.9", NULL, 80, true},
		{"0.0.0.0/0", "::1", NULL, 80, false},
		{"::/0", "2001:db8::1", NULL, 80, true},
		{"::/0", "192.0.2.1", NULL, 80, false},
		{"::/0", "::ffff:192.0.2.1", NULL, 80, false},
		{"2001:db8::/33", "2001:db8:7fff::1", NULL, 80, true},
		{"2001:db8::/33", "2001:db8:8000::1", NULL, 80, false},
		{"2001:db8::1", "2001:db8::1", NULL, 80, true},
		{"2001:db8::1", "2001:db8::2", NULL, 80, false},
		{"fe80::/10", "fe80::1", NULL, 80, true},
		/* the unspecified address connects to loopback */
		{"127.0.0.1", "0.0.0.0", NULL, 80, true},
		{"127.0.0.0/8", "::ffff:0.0.0.0", NULL, 80, true},
		{"::1", "::", NULL, 80, true},
		{"::1", "0.0.0.0", NULL, 80, false},
		{"0.0.0.0/8", "0.0.0.0", NULL, 80, false},
		/* names */
		{"db.example.com", "192.0.2.1", "db.example.com", 80, true},
		{"db.example.com", "192.0.2.1", "DB.Example.COM", 80, true},
		{"DB.EXAMPLE.com", "192.0.2.1", "db.example.com", 80, true},
		{"db.example.com", "192.0.2.1", "db.example.com.", 80, true},
		{"db.example.com", "192.0.2.1", "db.example.com..", 80, false},
		{"db.example.com", "192.0.2.1", "x,y.z,db.example.com", 80, true},
		{"db.example.com", "192.0.2.1", "x.db.example.com", 80, false},
		{"db.example.com", "192.0.2.1", "db.example.co", 80, false},
		{"db.example.com", "192.0.2.1", "db.example.comm", 80, false},
		{"db.example.com", "192.0.2.1", "dbxexample.com", 80, false},
		{"db.example.com", "192.0.2.1", NULL, 80, false},
		{"db.example.com", "192.0.2.1", "db.example.com", 91, false},
		{"*.example.com", "::1", "a.example.com", 80, true},
		{"*.example.com", "::1", "A.B.C.EXAMPLE.com.", 80, true},
		{"*.example.com", "::1", "example.com", 80, false},
		{"*.example.com", "::1", ".example.com", 80, false},
		{"*.example.com", "::1", "aexample.com", 80, false},
		{"*.example.com", "::1", "a.example.com.evil", 80, false},
		{"*.example.com", "::1", "m", 80, false},
		{"*.example.com", "::1", ".", 80, false},
		{"*", "192.0.2.1", "whatever", 80, true},
		{"192.0.2.1", "192.0.2.2", "192.0.2.1", 80, false},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qs_policy *policy;

		/* a [listen] section for all before it must not disturb */
		snprintf(text, sizeof(text),
			 "[listen * *]\nmode=tcp\n[connect %s 80-90]\nmode=quic\n", cases[i].host);
		policy = parse(text);
		if (connect_line(policy, cases[i].addr, cases[i].port, cases[i].names) !=
		    (cases[i].hit ? 3 : 0))
			fail_msg("[connect %s 80-90]: %s %s %u", cases[i].host, cases[i].addr,
				 cases[i].names ? cases[i].names : "-", cases[i].port);
		qs_policy_free(policy);
	}
}

static void test_listen(void **state)
{
	static const struct match_case cases[] = {
		{"*", "0.0.0.0", NULL, 80, true},
		{"*", "::", NULL, 80, true},
		{"*", "10.0.0.1", NULL, 90, true},
		{"*", "10.0.0.1", NULL, 91, false},
		{"0.0.0.0", "0.0.0.0", NULL, 80, true},
		{"0.0.0.0", "::ffff:0.0.0.0", NULL, 80, true},
		{"0.0.0.0", "::", NULL, 80, false},
		{"0.0.0.0", "10.0.0.1", NULL, 80, false},
		{"::", "::", NULL, 80, true},
		{"::", "0.0.0.0", NULL, 80, false},
		{"::", "::1", NULL, 80, false},
		{"10.0.0.1", "10.0.0.1", NULL, 80, true},
		{"10.0.0.1", "::ffff:10.0.0.1", NULL, 80, true},
		{"10.0.0.1", "0.0.0.0", NULL, 80, false},
		{"10.0.0.1", "::", NULL, 80, false},
		{"127.0.0.1", "0.0.0.0", NULL, 80, false},
		{"::1", "::", NULL, 80, false},
		{"10.0.0.0/8", "0.0.0.0", NULL, 80, false},
		{"10.0.0.0/8", "10.9.9.9", NULL, 80, true},
		{"0.0.0.0/0", "0.0.0.0", NULL, 80, true},
		{"0.0.0.0/0", "10.0.0.1", NULL, 80, true},
		{"::/0", "::", NULL, 80, true},
		{"::/0", "0.0.0.0", NULL, 80, false},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct qs_policy *policy;

		snprintf(text, sizeof(text),
			 "[connect * *]\nmode=tcp\n[listen %s 80-90]\nmode=quic\n"
			 "cert=/c\nkey=/k\n",
			 cases[i].host);
		policy = parse(text);
		if (listen_line(policy, cases[i].addr, cases[i].port) != (cases[i].hit ? 3 : 0))
			fail_msg("[listen %s 80-90]: %s %u", cases[i].host, cases[i].addr,
				 cases[i].port);
		qs_policy_free(policy);
	}
}

static void test_order(void **state)
{
	struct qs_policy *policy = parse("[defaults]\nmode = quic\n"
					 "[connect 10.0.0.7 *]\nmode = tcp\n" /* 3 */
					 "[connect *.example.com 443]\n" /* 5 */
					 "[connect 10.0.0.0/8 400-500]\n" /* 6 */
					 "[connect 10.0.0.0/8 *]\nalpn = x\n" /* 7 */
					 "[listen 10.0.0.7 *]\nmode = tcp\n" /* 9 */
					 "[listen * 443]\ncert=/c\nkey=/k\n" /* 11 */
					 "[connect * 443]\n"); /* 14 */

	(void)state;
	assert_int_equal(connect_line(policy, "10.0.0.7", 443, "a.example.com"), 3);
	assert_int_equal(connect_line(policy, "10.0.0.8", 443, "a.example.com"), 5);
	assert_int_equal(connect_line(policy, "10.0.0.8", 443, "example.com"), 6);
	assert_int_equal(connect_line(policy, "10.0.0.8", 500, "a.example.com"), 6);
	assert_int_equal(connect_line(policy, "10.0.0.8", 501, NULL), 7);
	assert_int_equal(connect_line(policy, "192.0.2.1", 443, NULL), 14);
	assert_int_equal(connect_line(policy, "192.0.2.1", 444, NULL), 0);
	assert_int_equal(listen_line(policy, "10.0.0.7", 443), 9);
	assert_int_equal(listen_line(policy, "0.0.0.0", 443), 11);
	assert_int_equal(listen_line(policy, "0.0.0.0", 80), 0);
	qs_policy_free(policy);
}

static void test_other_families(void **state)
{
	struct qs_policy *policy = parse("[connect * *]\nmode=quic\n[listen * *]\nmode=tcp\n");
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/x"};
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};

	(void)state;
	assert_null(qs_policy_find_connect(policy, (struct sockaddr *)&un, NULL, 0));
	assert_null(qs_policy_find_connect(policy, &unspec, NULL, 0));
	assert_null(qs_policy_find_listen(policy, (struct sockaddr *)&un));
	qs_policy_free(policy);
}

/* An app's sockaddr may stand at any address and be no longer than its family needs. */
static void test_unaligned(void **state)
{
	struct qs_policy *policy = parse("[connect 192.0.2.1 80]\nmode=quic\n");
	struct sockaddr_storage ss = sockaddr("192.0.2.1", 80);
	char *heap = malloc(sizeof(struct sockaddr_in) + 2);

	(void)state;
	assert_non_null(heap);
	memcpy(heap + 2, &ss, sizeof(struct sockaddr_in));
	assert_non_null(qs_policy_find_connect(policy, (void *)(heap + 2), NULL, 0));
	free(heap);
	qs_policy_free(policy);
}

static void test_server_name(void **state)
{
	static const char *const names[] = {"cdn.test", "A.example.com", "db.example.com"};
	struct qs_policy *policy =
		parse("[defaults]\nmode=quic\n[connect * 1]\nserver-name=s.test\n"
		      "[connect db.example.com 2]\n[connect *.example.com 2]\n"
		      "[connect * 2]\n");
	const struct qs_rule *r = policy->rules;

	(void)state;
	assert_string_equal(qs_rule_server_name(&r[0], names, 3), "s.test");
	assert_string_equal(qs_rule_server_name(&r[1], names, 3), "db.example.com");
	assert_ptr_equal(qs_rule_server_name(&r[2], names, 3), names[1]);
	assert_null(qs_rule_server_name(&r[2], names, 1));
	assert_ptr_equal(qs_rule_server_name(&r[3], names, 3), names[0]);
	assert_null(qs_rule_server_name(&r[3], NULL, 0));
	qs_policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),	  cmocka_unit_test(test_listen),
		cmocka_unit_test(test_order),	  cmocka_unit_test(test_other_families),
		cmocka_unit_test(test_unaligned), cmocka_unit_test(test_server_name),
	};

	return cmocka_run_group_tests_name("policy_match", tests, NULL, NULL);
}
