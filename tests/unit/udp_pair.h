/* SPDX-License-Identifier: MIT */
/* For the tests of udp.h: two sockets on loopback, trains of a known pattern, a netns of one's
 * own. */
#ifndef QS_TEST_UDP_PAIR_H
#define QS_TEST_UDP_PAIR_H

#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA_MAX (256u << 10)
#define SKIPPED 77

/* a sends, b receives. */
struct pair {
	int family;
	struct qs_udp a, b;
	struct qs_udp_batch batch;
	uint8_t sent[DATA_MAX], got[DATA_MAX];
	size_t n_got, n_trains;
	struct qs_udp_train last; /* of what was received */
};

static inline struct sockaddr_storage address_of(int family, const char *text, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	}
	return ss;
}

static inline const char *loopback(int family)
{
	return family == AF_INET ? "127.0.0.1" : "::1";
}

static inline const char *wildcard(int family)
{
	return family == AF_INET ? "0.0.0.0" : "::";
}

static inline void assert_address(const struct sockaddr_storage *ss, int family, const char *text,
				  uint16_t port)
{
	struct sockaddr_storage want = address_of(family, text, port);

	assert_int_equal(ss->ss_family, family);
	assert_memory_equal(ss, &want,
			    family == AF_INET ? sizeof(struct sockaddr_in)
					      : sizeof(struct sockaddr_in6));
}

static inline void open_at(struct qs_udp *udp, int family, const char *text)
{
	struct sockaddr_storage address = address_of(family, text, 0);

	assert_int_equal(qs_udp_open(udp, (struct sockaddr *)&address, NULL), 0);
}

static inline struct pair *pair_new(int family, const char *at_a, const char *at_b)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->family = family;
	open_at(&p->a, family, at_a);
	open_at(&p->b, family, at_b);
	assert_int_equal(qs_udp_batch_init(&p->batch), 0);
	for (size_t i = 0; i < DATA_MAX; i++)
		p->sent[i] = (uint8_t)(i * 2654435761u >> 13);
	return p;
}

static inline void pair_free(struct pair *p)
{
	qs_udp_close(&p->a);
	qs_udp_close(&p->b);
	qs_udp_batch_fini(&p->batch);
	free(p);
}

static inline bool has_ipv6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* For cmocka: a test's initial state is the family. */
static inline int pair_setup(void **state)
{
	int family = *state ? AF_INET6 : AF_INET;

	if (family == AF_INET6 && !has_ipv6()) {
		*state = NULL;
		return 0;
	}
	*state = pair_new(family, loopback(family), loopback(family));
	return 0;
}

static inline int pair_teardown(void **state)
{
	if (*state)
		pair_free(*state);
	return 0;
}

static inline struct pair *pair_of(void **state)
{
	if (!*state)
		skip();
	return *state;
}

#define V4 NULL
#define V6 ((void *)1)
#define PAIR_TEST(function, family)                                                                \
	{                                                                                          \
#function "(" #family ")", function, pair_setup, pair_teardown, family             \
	}
#define PAIR_TESTS(function) PAIR_TEST(function, V4), PAIR_TEST(function, V6)

static inline struct qs_udp_train train_to_b(struct pair *p, size_t len, size_t segment)
{
	return (struct qs_udp_train){
		.remote = address_of(p->family, loopback(p->family), p->b.port),
		.data = p->sent,
		.len = len,
		.segment = segment,
	};
}

/* Receives until `want` octets are there or nothing comes any more. Trains must hold whole
 * segments. */
static inline void receive(struct pair *p, size_t want)
{
	struct pollfd pfd = {.fd = p->b.fd, .events = POLLIN};

	p->n_got = p->n_trains = 0;
	while (p->n_got < want && poll(&pfd, 1, 1000) == 1) {
		int n = qs_udp_receive(&p->b, &p->batch);

		assert_in_range(n, 0, QS_UDP_BATCH);
		assert_int_equal(n, p->batch.n);
		for (int i = 0; i < n; i++) {
			const struct qs_udp_train *t = &p->batch.trains[i];

			assert_in_range(t->len, 1, DATA_MAX - p->n_got);
			assert_in_range(t->segment, 1, t->len);
			memcpy(p->got + p->n_got, t->data, t->len);
			p->n_got += t->len;
			p->n_trains++;
			p->last = *t;
		}
	}
	assert_int_equal(p->n_got, want);
}

static inline void assert_nothing_there(struct pair *p)
{
	assert_int_equal(qs_udp_receive(&p->b, &p->batch), 0);
}

/* Sends `len` octets from p->sent and expects all of them. */
static inline void send_and_check(struct pair *p, size_t len, size_t segment)
{
	struct qs_udp_train train = train_to_b(p, len, segment);

	assert_int_equal(qs_udp_send(&p->a, &train), len);
	receive(p, len);
	assert_memory_equal(p->got, p->sent, len);
}

/* Runs `body` in a child with a network namespace of its own, whose loopback is up and has this
 * MTU. Skips where that is not allowed. */
static inline void in_netns(int mtu, void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct ifreq request = {.ifr_name = "lo"};
		int fd;

		if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(SKIPPED);
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		request.ifr_mtu = mtu;
		if (fd < 0 || ioctl(fd, SIOCSIFMTU, &request) < 0)
			_exit(SKIPPED);
		request.ifr_flags = IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
			_exit(SKIPPED);
		close(fd);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* For bodies of in_netns, where cmocka's assertions can't be used. */
#define child_check(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition,       \
				errno);                                                            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#endif
