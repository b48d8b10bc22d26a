// SPDX-License-Identifier: MIT
// For tests of engines that share a UDP port: one of which only the group works, and the test turns its loop.
#ifndef QS_TEST_GROUP_KIT_H
#define QS_TEST_GROUP_KIT_H

#include "engine/endpoint.h"
#include "engine/group_parts.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct party {
	struct qs_engine engine;
	struct qs_endpoint endpoint;
	struct qs_member *member;
};

static inline void party_turn(struct party *p)
{
	if (p->engine.group_source.fd > 0)
		p->engine.group_source.fn(&p->engine.group_source, EPOLLIN);
}

/* All say what they have to say. */
static inline void parties_settle(struct party *parties, unsigned n)
{
	for (unsigned i = 0; i < 64; i++)
		party_turn(&parties[i % n]);
}

/* On a port that no other test has, also in a child. */
static inline struct qs_addr party_address(uint8_t last)
{
	static uint16_t port;

	if (port == 0)
		port = (uint16_t)(20000 + getpid() % 20000);
	return (struct qs_addr){.family = AF_INET, .port = port, .ip = {127, 0, 0, last}};
}

static inline void party_bury(struct qs_engine *engine)
{
	struct qs_grave *grave;

	while ((grave = SLIST_FIRST(&engine->graves)) != NULL) {
		SLIST_REMOVE_HEAD(&engine->graves, link);
		grave->fn(grave);
	}
}

static inline void party_join(struct party *p, struct qs_addr at)
{
	memset(p, 0, sizeof(*p));
	p->engine.epfd = epoll_create1(EPOLL_CLOEXEC);
	SLIST_INIT(&p->engine.graves);
	TAILQ_INIT(&p->engine.listeners);
	TAILQ_INIT(&p->engine.conns);
	TAILQ_INIT(&p->engine.endpoints);
	p->endpoint = (struct qs_endpoint){.engine = &p->engine,
					   .address = at,
					   .server = true,
					   .udp.fd = -1,
					   .steering = QS_STEERING_HASH}; /* loads nothing */
	assert_int_equal(qs_member_join(&p->engine, &p->endpoint, &at, 1, &p->member), 0);
	p->endpoint.member = p->member;
	TAILQ_INSERT_TAIL(&p->engine.endpoints, &p->endpoint, link);
}

static inline void party_leave(struct party *p)
{
	if (p->member == NULL)
		return;
	qs_member_leave(p->member);
	p->member = NULL;
	party_bury(&p->engine);
	qs_group_fini(&p->engine);
	qs_timers_fini(&p->engine.timers);
	close(p->engine.epfd);
}

#endif
