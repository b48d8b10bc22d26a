// SPDX-License-Identifier: MIT
// What a sibling that lies, strangers that knock, and a lack of descriptors can do to a group: nothing that lasts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "classic.h"
#include "group_kit.h"
#include "ladder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define N 2
#define HINTS_A_SECOND 1000 /* ladder_classic.c */

static struct party parties[N];
static struct qs_addr at;

static int both_join(void **state)
{
	(void)state;
	at = party_address(1);
	for (unsigned i = 0; i < N; i++)
		party_join(&parties[i], at);
	for (unsigned i = 0; i < N; i++)
		qs_member_bound(parties[i].member);
	parties_settle(parties, N);
	return 0;
}

static int both_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		party_leave(&parties[i]);
	return 0;
}

static struct qs_link *link_of(unsigned i)
{
	return qs_member_link(parties[i].member, (uint16_t)!i);
}

/* The first one says it, and the second one ends the link. */
static void ends(enum qs_handoff_type type, uint32_t number, const void *body, size_t len)
{
	qs_link_say(link_of(0), type, number, body, len);
	parties_settle(parties, N);
	assert_null(link_of(1));
}

static void serves_without_bound(void **state)
{
	(void)state;
	ends(QS_HANDOFF_SERVES, QS_GROUP_SERVES_MAX + 1, NULL, 0);
}

static void serves_within_serves(void **state)
{
	(void)state;
	qs_link_say(link_of(0), QS_HANDOFF_SERVES, 2, NULL, 0);
	ends(QS_HANDOFF_SERVES, 2, NULL, 0);
}

/* Clients of another address are not its business. */
static void serves_at_anothers_address(void **state)
{
	struct qs_serve serve = {.id = 1, .endpoint = at, .tcp = at, .alpn = "h3"};

	(void)state;
	serve.endpoint.ip[3] = 2;
	qs_link_say(link_of(0), QS_HANDOFF_SERVES, 1, NULL, 0);
	ends(QS_HANDOFF_SERVE, 0, &serve, sizeof(serve));
}

static void more_serves_than_said(void **state)
{
	struct qs_serve serve = {.id = 1, .endpoint = at, .tcp = at, .alpn = "h3"};

	(void)state;
	ends(QS_HANDOFF_SERVE, 0, &serve, sizeof(serve));
}

static void two_hellos(void **state)
{
	struct qs_handoff_hello hello = link_of(1)->peer;

	(void)state;
	ends(QS_HANDOFF_HELLO, 0, &hello, sizeof(hello));
}

static void bound_twice(void **state)
{
	uint64_t bound_ns = 1;

	(void)state;
	ends(QS_HANDOFF_BOUND, 0, &bound_ns, sizeof(bound_ns));
}

/* Descriptors that come along are closed, whatever they are and however many. */
static void descriptors_are_closed(void **state)
{
	int tube[2], fds[QS_LADDER_FDS];
	char octet;

	(void)state;
	assert_int_equal(pipe2(tube, O_CLOEXEC | O_NONBLOCK), 0);
	for (unsigned i = 0; i < QS_LADDER_FDS; i++)
		fds[i] = tube[1];
	qs_link_send_fds(link_of(0), fds, QS_LADDER_FDS);
	qs_link_send_fds(link_of(0), fds, QS_LADDER_FDS - 1);
	parties_settle(parties, N);
	close(tube[1]);
	assert_int_equal(read(tube[0], &octet, 1), 0); /* nobody has the other end */
	close(tube[0]);
	assert_non_null(link_of(1));
}

/* Anybody can send probes, and each would be a message to a sibling. */
static void forged_probes_are_few(void **state)
{
	struct qs_classic_probe probe = {.slot = 1};
	uint8_t packet[QS_CLASSIC_PROBE_LEN];
	struct qs_handoff_head head;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 3 * HINTS_A_SECOND; i++) {
		probe.nonce = i;
		qs_classic_probe_write(packet, &probe);
		assert_true(qs_ladder_probed(&parties[0].endpoint, packet + 1, QS_CID_LEN));
	}
	do {
		party_turn(&parties[0]);
		while (recv(link_of(1)->source.fd, &head, sizeof(head), MSG_DONTWAIT) > 0)
			n += head.type == QS_HANDOFF_INDEX;
	} while (link_of(0)->queued > 0);
	assert_in_range(n, 1, HINTS_A_SECOND);
}

/* Who connects while there is no descriptor left is let in later. */
static void without_descriptors_it_is_deaf_for_a_while(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), lowest;
	struct rlimit limit, tight;
	char hello[1024];
	int n;

	(void)state;
	n = snprintf(name.sun_path + 1, 100, "quicshim/udp4/%u/0", at.port);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&name,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
		0);
	lowest = dup(fd);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &limit);
	tight = (struct rlimit){(rlim_t)lowest, limit.rlim_max};
	setrlimit(RLIMIT_NOFILE, &tight);
	parties_settle(parties, N);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_true(parties[0].member->deaf);
	parties_settle(parties, N);
	assert_true(recv(fd, hello, sizeof(hello), MSG_DONTWAIT) < 0);
	qs_member_sweep(parties[0].member);
	parties_settle(parties, N);
	assert_true(recv(fd, hello, sizeof(hello), MSG_DONTWAIT) > 0);
	assert_false(parties[0].member->deaf);
	close(fd);
	parties_settle(parties, N);
}

/* One whom we believe, who may be a user with fewer rights (udp-owner), can't use up our descriptors. */
static void links_are_bounded(void **state)
{
	enum { MANY = QS_GROUP_LINKS_MAX + 100 };
	static int fds[MANY];
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct rlimit limit;
	int n;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * MANY)
		skip();
	n = snprintf(name.sun_path + 1, 100, "quicshim/udp4/%u/0", at.port);
	for (unsigned i = 0; i < MANY; i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&name,
					 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
						     (size_t)n)),
				 0);
		party_turn(&parties[0]);
	}
	assert_int_equal(parties[0].member->n_links, QS_GROUP_LINKS_MAX);
	assert_int_equal(parties[0].member->refused, 101);
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
	for (int i = 0; i < 64; i++)
		parties_settle(parties, N);
	assert_int_equal(parties[0].member->n_links, 1);
	assert_non_null(link_of(0));
}

int main(void)
{
#define WITH_BOTH(test) cmocka_unit_test_setup_teardown(test, both_join, both_leave)
	const struct CMUnitTest tests[] = {
		WITH_BOTH(serves_without_bound),
		WITH_BOTH(serves_within_serves),
		WITH_BOTH(serves_at_anothers_address),
		WITH_BOTH(more_serves_than_said),
		WITH_BOTH(two_hellos),
		WITH_BOTH(bound_twice),
		WITH_BOTH(descriptors_are_closed),
		WITH_BOTH(forged_probes_are_few),
		WITH_BOTH(without_descriptors_it_is_deaf_for_a_while),
		WITH_BOTH(links_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
