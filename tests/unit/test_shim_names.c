/* SPDX-License-Identifier: MIT */
/* Which name is meant by an address: look-ups by a resolver of our own. */
#include "names.h"
#include "real.h"
#include "state.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_in answer;
static struct addrinfo info = {.ai_family = AF_INET,
			       .ai_socktype = SOCK_STREAM,
			       .ai_addr = (struct sockaddr *)&answer,
			       .ai_addrlen = sizeof(answer)};

static int resolve(const char *node, const char *service, const struct addrinfo *hints,
		   struct addrinfo **out)
{
	(void)node;
	(void)service;
	(void)hints;
	*out = &info;
	return 0;
}

static struct qs_addr address(const char *text)
{
	struct qs_addr addr = {.family = AF_INET};

	assert_int_equal(inet_pton(AF_INET, text, addr.ip), 1);
	return addr;
}

static void look_up(const char *name, const char *to, int flags)
{
	struct addrinfo hints = {.ai_flags = flags}, *out;

	answer.sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, to, &answer.sin_addr), 1);
	assert_int_equal(getaddrinfo(name, NULL, &hints, &out), 0);
}

/* The names of an address, with a comma after each. */
static const char *names_of(const char *text)
{
	static char out[QS_NAMES_MAX * QS_NAME_MAX + 8];
	char names[QS_NAMES_MAX][QS_NAME_MAX];
	struct qs_addr addr = address(text);
	unsigned n = qs_names_lookup(&addr, names);

	*out = '\0';
	for (unsigned i = 0; i < n; i++) {
		strcat(out, names[i]);
		strcat(out, ",");
	}
	return out;
}

static void newest_first_each_once(void **state)
{
	(void)state;
	look_up("A.example.", "10.0.0.1", 0);
	look_up("b.example", "10.0.0.1", 0);
	assert_string_equal(names_of("10.0.0.1"), "b.example,a.example,");
	look_up("a.example", "10.0.0.1", 0);
	assert_string_equal(names_of("10.0.0.1"), "a.example,b.example,");
	assert_string_equal(names_of("10.0.0.9"), "");
}

static void *other_thread(void *arg)
{
	look_up(arg, "10.0.0.2", 0);
	return NULL;
}

static void own_thread_first(void **state)
{
	char name[] = "theirs.example";
	pthread_t thread;

	(void)state;
	look_up("mine.example", "10.0.0.2", 0);
	assert_int_equal(pthread_create(&thread, NULL, other_thread, name), 0);
	pthread_join(thread, NULL);
	assert_string_equal(names_of("10.0.0.2"), "mine.example,theirs.example,");
}

static void own_host_is_weak(void **state)
{
	char host[QS_NAME_MAX] = "", expected[QS_NAME_MAX + 32];

	(void)state;
	if (gethostname(host, sizeof(host) - 1) < 0 || !*host || inet_addr(host) != INADDR_NONE)
		skip();
	for (char *c = host; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	/* The last thing that was looked up: it is meant. */
	look_up(host, "10.0.0.3", 0);
	strcat(strcpy(expected, host), ",");
	assert_string_equal(names_of("10.0.0.3"), expected);
	/* Something else was since: the address is. */
	look_up("10.0.0.3", "10.0.0.3", 0);
	strcat(strcat(strcpy(expected, ","), host), ",");
	assert_string_equal(names_of("10.0.0.3"), expected);
	/* A better name is known. */
	look_up("real.example", "10.0.0.3", 0);
	strcat(strcat(strcpy(expected, "real.example,"), host), ",");
	assert_string_equal(names_of("10.0.0.3"), expected);
	look_up(host, "10.0.0.3", 0);
	assert_string_equal(names_of("10.0.0.3"), expected);
}

static void to_bind_to_is_weak(void **state)
{
	(void)state;
	look_up("bind.example", "10.0.0.4", AI_PASSIVE);
	look_up("else.example", "10.0.0.5", 0);
	assert_string_equal(names_of("10.0.0.4"), ",bind.example,");
}

static void many_names(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		look_up(name, "10.0.0.6", 0);
	}
	assert_string_equal(names_of("10.0.0.6"),
			    "n1999.example,n1998.example,n1997.example,n1996.example,");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newest_first_each_once),
		cmocka_unit_test(own_thread_first),
		cmocka_unit_test(own_host_is_weak),
		cmocka_unit_test(to_bind_to_is_weak),
		cmocka_unit_test(many_names),
	};

	qs_state_init();
	qs_real.getaddrinfo = resolve;
	qs_state.has_connect = true;
	atomic_store(&qs_state.watching, true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
