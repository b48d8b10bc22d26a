/* SPDX-License-Identifier: MIT */
/* What is served: which of several fits a client, and which can't be there together. */
#include "serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct qs_addr v4(uint8_t last, uint16_t port)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {192, 0, 2, last}};
}

static const struct qs_addr any = {.family = AF_INET, .port = 443};

static struct qs_serve serve(const struct qs_addr *endpoint, const char *alpn, const char *name)
{
	struct qs_serve s = {.id = 1, .endpoint = *endpoint, .tcp = *endpoint};

	snprintf(s.alpn, sizeof(s.alpn), "%s", alpn);
	snprintf(s.name, sizeof(s.name), "%s", name);
	return s;
}

static void names_fit(void **state)
{
	struct qs_serve all = serve(&any, "h3", ""), wild = serve(&any, "h3", "*.example.com"),
			deep = serve(&any, "h3", "*.b.example.com"),
			exact = serve(&any, "h3", "a.b.example.com");
	struct qs_addr local = v4(1, 443);

	(void)state;
	assert_true(qs_serve_fit(&all, &local, "") > 0);
	assert_int_equal(qs_serve_fit(&wild, &local, ""), 0);
	assert_int_equal(qs_serve_fit(&wild, &local, "example.com"), 0);
	assert_int_equal(qs_serve_fit(&wild, &local, ".example.com"), 0);
	assert_int_equal(qs_serve_fit(&wild, &local, "badexample.com"), 0);
	assert_int_equal(qs_serve_fit(&exact, &local, "b.example.com"), 0);
	assert_true(qs_serve_fit(&all, &local, "a.b.example.com") <
		    qs_serve_fit(&wild, &local, "a.b.example.com"));
	assert_true(qs_serve_fit(&wild, &local, "a.b.example.com") <
		    qs_serve_fit(&deep, &local, "a.b.example.com"));
	assert_true(qs_serve_fit(&deep, &local, "a.b.example.com") <
		    qs_serve_fit(&exact, &local, "a.b.example.com"));
}

static void addresses_fit(void **state)
{
	struct qs_addr one = v4(1, 443), two = v4(2, 443), port = v4(1, 444),
		       six = {.family = AF_INET6, .port = 443};
	struct qs_serve wild = serve(&any, "h3", "a.test"), own = serve(&one, "h3", "");

	(void)state;
	assert_true(qs_serve_fit(&own, &one, "a.test") > qs_serve_fit(&wild, &one, "a.test"));
	assert_int_equal(qs_serve_fit(&own, &two, "a.test"), 0);
	assert_true(qs_serve_fit(&wild, &two, "a.test") > 0);
	assert_int_equal(qs_serve_fit(&wild, &port, "a.test"), 0);
	assert_int_equal(qs_serve_fit(&wild, &six, "a.test"), 0);
}

/* A link-local address may be there on each interface. */
static void scopes_differ(void **state)
{
	struct qs_addr one = {.family = AF_INET6, .port = 443, .ip = {0xfe, 0x80, [15] = 1}},
		       two = one, unsaid = one;
	struct qs_serve a, b;

	(void)state;
	one.scope_id = 1;
	two.scope_id = 2;
	a = serve(&one, "h3", "");
	b = serve(&two, "h3", "");
	assert_false(qs_addr_equal(&one, &two));
	assert_false(qs_addr_overlap(&one, &two));
	assert_true(qs_addr_equal(&one, &unsaid));
	assert_false(qs_serve_clash(&a, &b));
	assert_int_equal(qs_serve_fit(&a, &two, ""), 0);
	assert_true(qs_serve_fit(&b, &two, "") > 0);
	assert_true(qs_serve_fit(&b, &unsaid, "") > 0);
}

static void only_one_program_has_a_pair(void **state)
{
	struct qs_serve a = serve(&any, "h3", "a.test"), b = a;

	(void)state;
	assert_true(qs_serve_clash(&a, &b));
	a.cookie = b.cookie = 7; /* one inherited socket */
	assert_false(qs_serve_clash(&a, &b));
	b.cookie = 8;
	a.reuseport = 1;
	assert_true(qs_serve_clash(&a, &b));
	b.reuseport = 1;
	assert_false(qs_serve_clash(&a, &b));
	b.tcp.port++; /* other programs, that meet at one endpoint */
	assert_true(qs_serve_clash(&a, &b));
	strcpy(b.name, "b.test");
	assert_false(qs_serve_clash(&a, &b));
	strcpy(b.name, a.name);
	strcpy(b.alpn, "smb");
	assert_false(qs_serve_clash(&a, &b));
	b = a;
	b.tcp.port++;
	b.endpoint = v4(1, 443);
	assert_false(qs_serve_clash(&a, &b));
}

static void bad_ones_are_seen(void **state)
{
	struct qs_serve good = serve(&any, "h3", "a.test"), s = good;

	(void)state;
	assert_true(qs_serve_valid(&good));
	s.alpn[0] = '\0';
	assert_false(qs_serve_valid(&s));
	s = good;
	s.endpoint.family = 1;
	assert_false(qs_serve_valid(&s));
	s = good;
	memset(s.name, 'x', sizeof(s.name));
	assert_false(qs_serve_valid(&s));
	s = good;
	memset(s.alpn, 'x', sizeof(s.alpn));
	assert_false(qs_serve_valid(&s));
	s = good;
	memset(s.program, 'x', sizeof(s.program));
	assert_false(qs_serve_valid(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_fit),	     cmocka_unit_test(addresses_fit),
		cmocka_unit_test(scopes_differ),     cmocka_unit_test(only_one_program_has_a_pair),
		cmocka_unit_test(bad_ones_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
