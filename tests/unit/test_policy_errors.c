/* SPDX-License-Identifier: MIT */
/* The policy file: each error with its line, and the limits of the text. */
#include "policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* The text must fail in this line (0: of the whole file) with a message that holds `part`. */
static void assert_fails_n(const char *text, size_t len, int line, const char *part)
{
	struct qs_policy *policy = (struct qs_policy *)&policy;
	struct qs_policy_error err = {.line = -1};
	char prefix[32];
	int ret = qs_policy_parse("/t/p.conf", text, len, &policy, &err);

	if (ret != -EINVAL)
		fail_msg("\"%s\": %d, -EINVAL expected", text, ret);
	assert_null(policy);
	if (err.line != line || !strstr(err.text, part))
		fail_msg("\"%s\": line %d expected, \"%s\" expected: %s", text, line, part,
			 err.text);
	if (line)
		snprintf(prefix, sizeof(prefix), "/t/p.conf:%d: ", line);
	else
		snprintf(prefix, sizeof(prefix), "/t/p.conf: ");
	if (strncmp(err.text, prefix, strlen(prefix)) != 0)
		fail_msg("\"%s\" expected first: %s", prefix, err.text);
	if (!strstr(err.text, "; ") || strchr(err.text, '\n'))
		fail_msg("not of the form \"cause; hint\": %s", err.text);
	/* without a place for the message it must fail just so */
	assert_int_equal(qs_policy_parse("/t/p.conf", text, len, &policy, NULL), -EINVAL);
}

static void assert_fails(const char *text, int line, const char *part)
{
	assert_fails_n(text, strlen(text), line, part);
}

/* Grammar and sections. */
static void test_section_errors(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *part;
	} cases[] = {
		{"mode = quic\n", 1, "before any section"},
		{"\n\nfoo\n", 3, "neither a [section]"},
		{"; comment\n", 1, "comments begin with #"},
		{"// comment\n", 1, "comments begin with #"},
		{"[connect * *\nmode=quic\n", 1, "\"]\""},
		{"[\n", 1, "\"]\""},
		{"[connect * *]# no space\n", 1, "\"]\""},
		{"[]\n", 1, "empty section header"},
		{"[  ]\n", 1, "empty section header"},
		{"[accept * *]\n", 1, "unknown section \"accept\""},
		{"[Connect * *]\n", 1, "unknown section"},
		{"[connect]\n", 1, "one host and one port"},
		{"[connect *]\n", 1, "one host and one port"},
		{"[connect a.b:80]\n", 1, "one host and one port"},
		{"[connect * * *]\n", 1, "one host and one port"},
		{"[listen * 1 2 3 4]\n", 1, "[listen * 443]"},
		{"[defaults x]\n", 1, "no host or port"},
		{"[defaults]\n[defaults]\n", 2, "first is in line 1"},
		{"[connect * *]\nmode=tcp\n\n[defaults]\n", 4, "after line 1"},
		{"[connect * *]\n\n[listen * *]\nmode=tcp", 1, "has no mode"},
		{"[listen * *]\nalpn=x", 1, "has no mode"},
		{"[listen * *]\n\nmode=quic\n", 1, "needs a certificate"},
		{"[listen * *]\nmode=prefer\n", 1, "needs a certificate"},
		{"[connect * *]\nmode=quic\nhead-start=1s\n", 3, "never falls back"},
		{"[connect * *]\non-bad-certificate=tcp\nmode=quic\n", 2, "never falls back"},
		{"[defaults]\nca=/ca\nmode=quic\n[listen * *]\n", 4, "needs a certificate"},
		{"[defaults]\ncert=/c\n[connect * *]\n", 2, "write key"},
		{"[connect * *]\nmode=quic\nkey=/k\n", 3, "write cert"},
		{"[defaults]\ncert=/c\nkey=/k\n[listen * *]\nmode=quic\ncert=/d\n", 6, "write key"},
		{"[connect * *]\nmode=quic\nstreams=one\nconnections=2", 4, "remove connections"},
		{"[connect * *]\nmode=quic\nkeep-alive=30s", 3, "not shorter than"},
		{"[connect * *]\nmode=quic\nkeep-alive=5s\nidle-timeout=4s", 4, "not shorter than"},
		{"[defaults]\nkeep-alive=5s\n[connect * *]\nmode=quic\nidle-timeout=4s", 5,
		 "shorter"},
		{"[defaults]\nkeep-alive=40s\n[connect * *]\nmode=quic\n", 2, "not shorter than"},
		{"[connect * 1]\nmode=quic\nendpoint=*:443", 3, "wildcard endpoint; write"},
		{"[connect * 1]\nmode=quic\nendpoint=*", 3, "wildcard endpoint; write"},
		{"[connect * 1]\nendpoint=0.0.0.0:1\nmode=quic\n", 2, "wildcard endpoint"},
		{"[connect * 1]\nendpoint=[::]:1\nmode=quic\n", 2, "wildcard endpoint"},
		{"\xef\xbb\xbf[defaults]\n", 1, "byte order mark"},
		{"[defaults]\n# a\x1b[1m\n", 2, "0x1b) at column 4"},
		{"[defaults]\r[connect * *]\n", 1, "0x0d) at column 11"},
		{"[defaults]\n\x7f\n", 2, "0x7f"},
		{"[defaults]\nca=/x\r", 2, "0x0d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_fails(cases[i].text, cases[i].line, cases[i].part);
	assert_fails("[defaults]\nmode=quic\nendpoint=*:1\n[connect * 1]\n[connect * 2]\n", 4,
		     "endpoint of [defaults]");
	assert_fails("[listen 192.0.2.1 1]\nmode=quic\ncert=/c\nkey=/k\nendpoint=[::1]:1\n", 5,
		     "IPv6 endpoint for an IPv4 socket");
	assert_fails_n("[defaults]\nca=/a\0b\n", 19, 2, "NUL byte");
	assert_fails_n("\0", 1, 1, "NUL byte");
}

/* Hosts and ports of headers. */
static void test_header_errors(void **state)
{
	static const struct {
		const char *words, *part;
	} cases[] = {
		{"connect 10.0.0.0/33 1", "bad prefix length \"/33\""},
		{"connect 10.0.0.0/ 1", "bad prefix length"},
		{"connect 10.0.0.0/8x 1", "bad prefix length"},
		{"connect 10.0.0.0/-1 1", "bad prefix length"},
		{"connect 10.0.0.0/8/8 1", "bad prefix length"},
		{"connect 10.0.0.0/99999999999999999999 1", "bad prefix length"},
		{"connect ::/129 1", "number from 0 to 128"},
		{"connect 10.0.0.1/8 1", "write 10.0.0.0/8"},
		{"connect 10.0.0.1/31 1", "write 10.0.0.0/31"},
		{"connect 2001:db8::1/32 1", "write 2001:db8::/32"},
		{"connect ::ffff:10.0.0.0/90 1", "without ::ffff:"},
		{"connect example.com/24 1", "is not an address"},
		{"connect /24 1", "is not an address"},
		{"connect */0 1", "is not an address"},
		{"connect fe80::1%eth0 1", "scope ids are not supported"},
		{"connect fe80::%eth0/64 1", "scope ids are not supported"},
		{"listen fe80::1%2 1", "scope ids are not supported"},
		{"connect [::1] 1", "has brackets"},
		{"connect 0.0.0.0 1", "write 127.0.0.1"},
		{"connect :: 1", "write ::1"},
		{"connect ::ffff:0.0.0.0 1", "write 127.0.0.1"},
		{"connect 0.0.0.0/32 1", "write 127.0.0.1"},
		{"connect 10.0.0.1:80 1", "stand apart"},
		{"connect 1:2 1", "stand apart"},
		{"connect 10.0.0.256 1", "looks like an address"},
		{"connect 10.0.0 1", "looks like an address"},
		{"connect 010.0.0.1 1", "looks like an address"},
		{"connect 0x7f000001 1", "looks like an address"},
		{"listen localhost 1", "is not an address"},
		{"listen *.example.com 1", "is not an address"},
		{"listen 10.0.0.256 1", "is not an address"},
		{"connect a..b 1", "empty label"},
		{"connect .b 1", "empty label"},
		{"connect a.b. 1", "empty label"},
		{"connect *. 1", "empty label"},
		{"connect *b.c 1", "\"*\" in host name"},
		{"connect a.*.c 1", "\"*\" in host name"},
		{"connect *.*.c 1", "\"*\" in host name"},
		{"connect -a.b 1", "hyphen"},
		{"connect a.b- 1", "hyphen"},
		{"connect a-.b 1", "hyphen"},
		{"connect a.-b 1", "hyphen"},
		{"connect a,b 1", "\",\" in host name"},
		{"connect b\xc3\xbc.de 1", "xn--"},
		{"connect * 0", "bad port"},
		{"connect * 65536", "bad port"},
		{"connect * 99999999999999999999", "bad port"},
		{"connect * https", "bad port"},
		{"connect * 80,81", "bad port"},
		{"connect * +80", "bad port"},
		{"connect * -80", "bad port"},
		{"connect * 80-", "bad port"},
		{"connect * 0-80", "bad port"},
		{"connect * 1-65536", "bad port"},
		{"connect * 1-2-3", "bad port"},
		{"connect * 90-80", "write 80-90"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "\n\n[%s]\nmode = tcp\n", cases[i].words);
		assert_fails(text, 3, cases[i].part);
	}
}

/* Keys, values and where they may stand. */
static void test_key_errors(void **state)
{
	static const struct {
		const char *line, *part;
		char where; /* d, c, l: only in that section; 0: in each */
	} cases[] = {
		{"mod = quic", "do you mean \"mode\"?", 0},
		{"Mode = quic", "do you mean \"mode\"?", 0},
		{"server_name = a.b", "do you mean \"server-name\"?", 0},
		{"idletimeout = 1s", "do you mean \"idle-timeout\"?", 0},
		{"conections = 1", "do you mean \"connections\"?", 0},
		{"ky = /k", "do you mean \"key\"?", 0},
		{"keepalive = 1s", "do you mean \"keep-alive\"?", 0},
		{"clinet-ca = /x", "do you mean \"client-ca\"?", 0},
		{"frobnicate = 1", "policy.conf(5) lists", 0},
		{"a-very-long-key-that-is-nothing-we-know-of-at-all = 1", "policy.conf(5) lists",
		 0},
		{"= 1", "unknown key \"\"", 0},
		{"udp-owner = root", "write a number from 0", 'l'},
		{"udp-owner = 1", "can't stand in a [connect]", 'c'},
		{"steering = bpf", "write auto, ebpf, classic or hash", 'l'},
		{"steering = hash", "can't stand in a [connect]", 'c'},
		{"host-id = 65536", "", 'l'},
		{"host-id = 1", "can't stand in a [connect]", 'c'},
		{"cid-key = relative", "", 'l'},
		{"cid-key = /k", "can't stand in a [connect]", 'c'},
		{"workers = 0", "number from 1 to 16", 'l'},
		{"workers = 17", "number from 1 to 16", 'd'},
		{"workers = 2", "can't stand in a [connect]", 'c'},
		{"alpn =", "no value", 0},
		{"alpn = # x", "no value", 0},
		{"alpn = a\nalpn = b", "set twice", 0},
		{"mode = preferred", "write tcp, quic or prefer", 0},
		{"mode = QUIC", "write tcp, quic or prefer", 0},
		{"head-start = 1", "write 1s or 1ms", 'c'},
		{"head-start = 1s", "can't stand in a [listen] section", 'l'},
		{"retry-after = 99ms", "100ms is the least", 'c'},
		{"retry-after = 1s", "can't stand in a [listen] section", 'l'},
		{"on-bad-certificate = plain", "write fail or tcp", 'c'},
		{"on-bad-certificate = tcp", "can't stand in a [listen] section", 'l'},
		{"early-data = yes", "early-data = yes is not built yet", 0},
		{"early-data = maybe", "write no", 0},
		{"congestion = vegas", "write cubic, bbr or reno", 0},
		{"streams = two", "write shared or one", 'c'},
		{"connections = 0", "number from 1 to 64", 'c'},
		{"connections = 65", "number from 1 to 64", 'c'},
		{"connections = 1x", "number from 1 to 64", 'c'},
		{"connections = -1", "number from 1 to 64", 'd'},
		{"engine = fiber", "write process or thread", 'd'},
		{"engine = thread", "can't stand in a [connect] section; one engine", 'c'},
		{"engine = thread", "can't stand in a [listen] section; one engine", 'l'},
		{"client-ca = /x",
		 "can't stand in a [connect] section; to check the server write ca", 'c'},
		{"ca = /x", "can't stand in a [listen] section; to check clients write client-ca",
		 'l'},
		{"server-name = a.b, *.*.c", "\"*\" in server-name", 'l'},
		{"server-name = ,", "server-name has no name", 'l'},
		{"server-name = a.b 192.0.2.1", "looks like an address", 'l'},
		{"connections = 2", "can't stand in a [listen]", 'l'},
		{"streams = one", "can't stand in a [listen]", 'l'},
		{"ca = ca.pem", "begin it with /", 'c'},
		{"ca = ~/ca.pem", "write the home directory out", 'c'},
		{"ca = \"/ca.pem\"", "without quotes", 'd'},
		{"cert = c", "not an absolute path", 0},
		{"key = ./k", "not an absolute path", 0},
		{"client-ca = c", "not an absolute path", 'l'},
		{"alpn = a b", "bad alpn", 0},
		{"alpn = \"h3\"", "bad alpn", 0},
		{"alpn = h3,h2", "bad alpn", 0},
		{"alpn = \xc3\xbc", "bad alpn", 0},
		{"server-name = *.example.com", "\"*\" in server-name", 'c'},
		{"server-name = 192.0.2.1", "looks like an address", 'c'},
		{"server-name = ::1", "\":\" in server-name", 'c'},
		{"linger = 10", "write 10s or 10ms", 0},
		{"linger = 10 s", "bad duration", 0},
		{"linger = s", "bad duration", 0},
		{"linger = -1s", "bad duration", 0},
		{"linger = 1.5s", "bad duration", 0},
		{"linger = 1d", "bad duration", 0},
		{"linger = 25h", "too long", 0},
		{"linger = 86401s", "too long", 0},
		{"linger = 99999999999999999999s", "bad duration", 0},
		{"idle-timeout = 99ms", "100ms is the least", 0},
		{"handshake-timeout = 0s", "100ms is the least", 0},
		{"keep-alive = 0s", "100ms is the least", 0},
		{"endpoint = db.example.com:443", "never a name", 0},
		{"endpoint = :0", "bad port in endpoint", 0},
		{"endpoint = :65536", "bad port in endpoint", 0},
		{"endpoint = 192.0.2.1:", "bad port in endpoint", 0},
		{"endpoint = :x", "bad port in endpoint", 0},
		{"endpoint = 443", "is not an address", 0},
		{"endpoint = ::1", "needs brackets", 0},
		{"endpoint = [::1", "write [2001:db8::1]:443", 0},
		{"endpoint = [::1]443", "write [2001:db8::1]:443", 0},
		{"endpoint = []:443", "is not an address", 0},
		{"endpoint = [*]:443", "is not an address", 0},
		{"endpoint = [192.0.2.1]:443", "has no brackets", 0},
		{"endpoint = [fe80::1%eth0]:443", "scope ids are not supported", 0},
	};
	static const struct {
		char where;
		const char *header;
	} sections[] = {{'d', "[defaults]"}, {'c', "[connect * 1]"}, {'l', "[listen * 1]"}};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int line = strchr(cases[i].line, '\n') ? 4 : 3;

		for (size_t j = 0; j < 3; j++) {
			if (cases[i].where && cases[i].where != sections[j].where)
				continue;
			snprintf(text, sizeof(text), "%s\n# c\n%s\n", sections[j].header,
				 cases[i].line);
			assert_fails(text, line, cases[i].part);
		}
	}
	/* an error in a key of the last section comes before what the section lacks */
	assert_fails("[connect * 1]\nfoo=1\n", 2, "unknown key");
}

static void test_covered_sections(void **state)
{
	static const struct {
		const char *early, *late;
		bool covered;
	} cases[] = {
		{"connect * *", "connect a.b 1", true},
		{"connect * *", "connect ::/0 *", true},
		{"connect * 1-10", "connect * 10", true},
		{"connect * 1-10", "connect * 10-11", false},
		{"connect * 1-10", "connect * *", false},
		{"connect * *", "listen * *", false},
		{"connect 10.0.0.1 1", "connect 10.0.0.1 1", true},
		{"connect 10.0.0.1 1", "connect ::ffff:10.0.0.1 1", true},
		{"connect 10.0.0.0/8 1", "connect 10.1.0.0/16 1", true},
		{"connect 10.0.0.0/9 1", "connect 10.128.0.0/16 1", false},
		{"connect 10.1.0.0/16 1", "connect 10.0.0.0/8 1", false},
		{"connect 0.0.0.0/0 *", "connect ::1 1", false},
		{"connect ::/0 *", "connect 10.0.0.1 1", false},
		{"connect 0.0.0.0/0 *", "connect * *", false},
		{"connect 0.0.0.0/0 *", "connect a.b 1", false},
		{"connect 2001:db8::/33 1", "connect 2001:db8:7fff::1 1", true},
		{"connect 2001:db8::/33 1", "connect 2001:db8:8000::1 1", false},
		{"connect a.b 1", "connect A.B 1", true},
		{"connect a.b 1", "connect *.b 1", false},
		{"connect a.b 1", "connect 10.0.0.1 1", false},
		{"connect *.b 1", "connect a.b 1", true},
		{"connect *.b 1", "connect x.a.b 1", true},
		{"connect *.b 1", "connect *.b 1", true},
		{"connect *.b 1", "connect *.a.b 1", true},
		{"connect *.a.b 1", "connect *.b 1", false},
		{"connect *.b 1", "connect b 1", false},
		{"connect *.b 1", "connect ab 1", false},
		{"connect *.b 1", "connect * 1", false},
		{"listen * 1", "listen 0.0.0.0 1", true},
		{"listen 0.0.0.0 1", "listen 10.0.0.1 1", false},
		{"listen 0.0.0.0/0 1", "listen 0.0.0.0 1", true},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "[%s]\nmode=tcp\n[listen 192.0.2.9 9]\nmode=tcp\n"
			 "[%s]\nmode=tcp\n",
			 cases[i].early, cases[i].late);
		if (cases[i].covered)
			assert_fails(text, 5, "can never match, line 1 takes all");
		else
			qs_policy_free(parse(text));
	}
}

static void test_text_limits(void **state)
{
	static char text[QS_POLICY_BYTES_MAX + 16], name[300];
	struct qs_policy *policy;
	size_t len;

	(void)state;
	/* a line of the greatest length, with and without CR, and one more */
	len = (size_t)sprintf(text, "[defaults]\nca = /");
	memset(text + len, 'a', QS_POLICY_LINE_MAX);
	strcpy(text + 11 + QS_POLICY_LINE_MAX, "\r\n[connect * 1]\nmode=tcp\n");
	policy = parse(text);
	assert_int_equal(strlen(policy->rules[0].ca), QS_POLICY_LINE_MAX - 5);
	qs_policy_free(policy);
	strcpy(text + 11 + QS_POLICY_LINE_MAX, "a\n");
	assert_fails(text, 2, "a line of 4096 bytes");
	memset(text + 11, '#', QS_POLICY_LINE_MAX); /* a comment too */
	assert_fails(text, 2, "a line of 4096 bytes");
	/* alpn */
	len = (size_t)sprintf(text, "[connect * 1]\nmode=quic\nalpn=");
	memset(text + len, 'p', 31);
	text[len + 31] = '\0';
	policy = parse(text);
	assert_int_equal(strlen(policy->rules[0].alpn), 31);
	qs_policy_free(policy);
	strcpy(text + len + 31, "p");
	assert_fails(text, 3, "alpn of 32 bytes");
	/* host names: 253 bytes, labels of 63 */
	memset(name, 'n', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	sprintf(text, "[connect %.253s 1]\nmode=quic\nserver-name=%.253s", name, name);
	policy = parse(text);
	assert_int_equal(strlen(policy->rules[0].name), 253);
	qs_policy_free(policy);
	sprintf(text, "[connect %.254s 1]\nmode=quic\n", name);
	assert_fails(text, 1, "host name of 254 bytes");
	sprintf(text, "[connect *.%.254s 1]\nmode=quic\n", name);
	assert_fails(text, 1, "host name of 254 bytes");
	sprintf(text, "[connect * 1]\nmode=quic\nserver-name=%.254s", name);
	assert_fails(text, 3, "server-name of 254 bytes");
	sprintf(text, "[connect %.64s.b 1]\nmode=quic\n", name + 192);
	assert_fails(text, 1, "a label of 64 bytes");
	/* sections */
	len = 0;
	for (int i = 0; i < QS_POLICY_RULES_MAX; i++)
		len += (size_t)sprintf(text + len, "[connect * %d]\nmode=tcp\n", i + 1);
	policy = parse(text);
	assert_int_equal(policy->n_rules, QS_POLICY_RULES_MAX);
	qs_policy_free(policy);
	strcpy(text + len, "[connect * 9999]\nmode=tcp\n");
	assert_fails(text, 2 * QS_POLICY_RULES_MAX + 1, "more than 1024 sections");
	/* the file */
	memset(text, '\n', sizeof(text));
	text[QS_POLICY_BYTES_MAX] = '\0';
	qs_policy_free(parse(text));
	text[QS_POLICY_BYTES_MAX] = '\n';
	assert_fails_n(text, QS_POLICY_BYTES_MAX + 1, 0, "larger than 1 MiB");
}

/* A long path or value never makes a message that is cut in its cause, or more than a line. */
static void test_messages(void **state)
{
	struct qs_policy *policy;
	struct qs_policy_error err;
	static char path[5000], text[QS_POLICY_LINE_MAX + 64];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	memcpy(path + sizeof(path) - 12, "/x\ny.conf", 9);
	sprintf(text, "[defaults]\n");
	memset(text + 11, 'k', 4000);
	strcpy(text + 4011, "=1\n");
	assert_int_equal(qs_policy_parse(path, text, strlen(text), &policy, &err), -EINVAL);
	assert_int_equal(err.line, 2);
	assert_true(strncmp(err.text, "...ppp", 6) == 0);
	assert_non_null(strstr(err.text, "/x?y.confpp:2: unknown key \"kkk"));
	assert_non_null(strstr(err.text, "k...\"; policy.conf(5) lists the keys"));
	policy = NULL;
	assert_int_equal(qs_policy_parse(path, "", 0, &policy, &err), 0);
	assert_string_equal(policy->path, path);
	qs_policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section_errors), cmocka_unit_test(test_header_errors),
		cmocka_unit_test(test_key_errors),     cmocka_unit_test(test_covered_sections),
		cmocka_unit_test(test_text_limits),    cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests_name("policy_errors", tests, NULL, NULL);
}
