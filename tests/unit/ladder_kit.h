/* SPDX-License-Identifier: MIT */
/* For test_ladder*.c: members of a UDP port of which only the group and the ladder work, and who gets a datagram. */
#ifndef QS_TEST_LADDER_KIT_H
#define QS_TEST_LADDER_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "endpoint.h"
#include "group.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define N 4

/* An engine of which only the group and the probes work: the test turns its loop. */
struct party {
	struct qs_engine engine;
	struct qs_endpoint endpoint;
	struct qs_member *member; /* NULL: it has left */
};
static struct party parties[N];
static uint16_t port;

static inline void bury(struct qs_engine *engine)
{
	while (!SLIST_EMPTY(&engine->graves)) {
		struct qs_grave *grave = SLIST_FIRST(&engine->graves);

		SLIST_REMOVE_HEAD(&engine->graves, link);
		grave->fn(grave);
	}
}

/* One datagram: 1 if it was no probe, 0 if it was one, -1 if there was none. */
static inline int receive(struct party *p)
{
	struct qs_classic_probe probe;
	uint8_t data[64];
	ssize_t n = recv(p->endpoint.udp.fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0)
		return -1;
	if (n != QS_CLASSIC_PROBE_LEN || !qs_classic_probe_read(data + 1, QS_CID_LEN, &probe))
		return 1;
	if (p->member != NULL)
		assert_true(qs_ladder_probed(&p->endpoint, data + 1, QS_CID_LEN));
	return 0;
}

static inline void turn(struct party *p)
{
	p->engine.group_source.fn(&p->engine.group_source, EPOLLIN);
	while (receive(p) >= 0)
		;
}

static inline void settle(void)
{
	for (int i = 0; i < 64; i++)
		if (parties[i % N].member != NULL)
			turn(&parties[i % N]);
}

/* Moves the engines' clock, which they read once a turn. */
static inline void later(uint64_t ns)
{
	for (uint64_t past = 0; past < ns; past += 100 * QS_MSEC) {
		for (unsigned i = 0; i < N; i++) {
			parties[i].engine.now_ns += 100 * QS_MSEC;
			if (parties[i].member != NULL)
				qs_ladder_sweep(&parties[i].endpoint);
		}
		settle();
	}
}

static inline struct qs_addr address(void)
{
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {127, 0, 0, 1}};
}

static inline void udp_open(struct qs_udp *udp)
{
	struct qs_udp_options options = {.reuseport = true};
	struct qs_addr at = address();
	struct sockaddr_storage sa;

	qs_addr_to_sockaddr(&at, AF_INET, &sa);
	assert_int_equal(qs_udp_open(udp, (struct sockaddr *)&sa, &options), 0);
	port = udp->port;
}

/* A member whose socket is not bound yet. */
static inline void enter(struct party *p, enum qs_steering steering)
{
	struct qs_addr at = address();

	memset(p, 0, sizeof(*p));
	p->engine.now_ns = QS_NSEC;
	p->engine.epfd = epoll_create1(EPOLL_CLOEXEC);
	SLIST_INIT(&p->engine.graves);
	TAILQ_INIT(&p->engine.listeners);
	p->endpoint = (struct qs_endpoint){.engine = &p->engine,
					   .address = at,
					   .server = true,
					   .steering = steering,
					   .owner = -1,
					   .udp.fd = -1};
	assert_int_equal(qs_member_join(&p->engine, &p->endpoint, &at, 1, &p->member), 0);
	p->endpoint.member = p->member;
	settle();
}

static inline void join(struct party *p, enum qs_steering steering)
{
	enter(p, steering);
	udp_open(&p->endpoint.udp);
	qs_member_bound(p->member);
	settle();
}

/* As a process that is killed does: the links end, and the socket is closed some time. */
static inline void leave(struct party *p)
{
	qs_member_leave(p->member);
	p->member = NULL;
	bury(&p->engine);
	qs_group_fini(&p->engine);
	close(p->engine.epfd);
}

static inline void all_are(enum qs_rung rung)
{
	for (unsigned i = 0; i < N; i++)
		if (parties[i].member != NULL)
			assert_int_equal(qs_ladder_rung(&parties[i].endpoint), rung);
}

/* Waits for one that is no probe; a busy machine takes its time even on loopback. */
static inline unsigned receiver(void)
{
	struct pollfd fds[N];

	for (;;) {
		for (unsigned i = 0; i < N; i++)
			fds[i] =
				(struct pollfd){.fd = parties[i].endpoint.udp.fd, .events = POLLIN};
		assert_true(poll(fds, N, 20000) > 0);
		for (unsigned i = 0; i < N; i++) {
			if (fds[i].revents != 0 && receive(&parties[i]) > 0)
				return i;
		}
	}
}

/* How many datagrams for somebody's ID come to another. */
static inline unsigned misled(void)
{
	struct qs_addr at = address();
	struct sockaddr_storage sa;
	socklen_t len = qs_addr_to_sockaddr(&at, AF_INET, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++) {
		uint8_t data[1 + QS_CID_LEN] = {0x40};
		struct qs_cid_fields fields = {0};

		if (parties[i].member == NULL)
			continue;
		fields.slot = parties[i].member->slot;
		fields.generation = parties[i].member->generation;
		qs_cid_encode(data + 1, &fields);
		assert_int_equal(sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&sa, len),
				 sizeof(data));
		n += receiver() != i;
	}
	close(fd);
	return n;
}

#endif
