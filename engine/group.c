/* SPDX-License-Identifier: MIT */
/* The engines that share a UDP port: slots, who is there, what they serve. See group.h. */
#include "group.h"

#include "endpoint.h"
#include "group_parts.h"
#include "log.h"
#include "show.h"
#include "stranger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SYNC_MS 1000u
#define EVENTS 32
#define DRAIN_MS 100u /* how long a leaving member waits for its peers */
#define ACCEPTS_A_TURN 16
#define MEET_NS (2 * QS_NSEC)
#define ALONE_NS (5 * QS_NSEC) /* a dead sibling's last will may still want the address */

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static socklen_t member_name(const struct qs_addr *address, unsigned slot, struct sockaddr_un *out)
{
	int n;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	n = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "quicshim/udp%c/%u/%u",
		     address->family == AF_INET6 ? '6' : '4', address->port, slot);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* --- the epoll set of all links --- */

bool qs_group_handle(struct qs_engine *engine, int wait_ms)
{
	struct epoll_event events[EVENTS];
	bool waited = engine->group_waits;
	int n;

	engine->group_waits |= wait_ms != 0;
	if (engine->group_waits && !waited)
		qs_group_answer(engine);
	n = epoll_wait(engine->group_epfd, events, EVENTS, wait_ms);
	for (int i = 0; i < n; i++) {
		struct qs_source *source = events[i].data.ptr;

		if (source->fd >= 0)
			source->fn(source, events[i].events);
	}
	engine->group_waits = waited;
	return n > 0;
}

static void group_event(struct qs_source *source, uint32_t events)
{
	(void)events;
	qs_group_handle(qs_container(source, struct qs_engine, group_source), 0);
}

static int open_set(struct qs_engine *engine)
{
	int rv;

	if (engine->group_source.fd > 0)
		return 0;
	if (engine->handoff_memory == NULL)
		engine->handoff_memory = malloc(QS_HANDOFF_MAX);
	if (engine->handoff_memory == NULL)
		return -ENOMEM;
	engine->group_epfd = epoll_create1(EPOLL_CLOEXEC);
	if (engine->group_epfd < 0)
		return -errno;
	engine->group_source = (struct qs_source){.fd = engine->group_epfd, .fn = group_event};
	rv = qs_source_add(engine, &engine->group_source, EPOLLIN);
	if (rv < 0) {
		close(engine->group_epfd);
		engine->group_source.fd = engine->group_epfd = 0;
	}
	return rv;
}

void qs_group_fini(struct qs_engine *engine)
{
	if (engine->group_source.fd > 0)
		qs_source_close(engine, &engine->group_source);
	engine->group_source.fd = engine->group_epfd = 0;
	free(engine->handoff_memory);
	engine->handoff_memory = NULL;
}

int qs_group_watch(struct qs_engine *engine, int op, struct qs_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(engine->group_epfd, op, source->fd, &event) < 0 ? -errno : 0;
}

/* --- links --- */

static bool believed(const struct qs_member *member, int fd)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == member->uids[0] || cred.uid == member->uids[1];
}

static void accept_links(struct qs_member *member)
{
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(member->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			member->deaf = true;
			qs_group_watch(member->engine, EPOLL_CTL_MOD, &member->source, 0);
		}
		if (fd < 0)
			return;
		if (!believed(member, fd) || member->n_links >= QS_GROUP_LINKS_MAX ||
		    qs_link_new(member, fd, QS_GROUP_SLOTS) < 0) {
			member->refused++;
			qs_stranger_empty(fd);
			close(fd);
		}
	}
}

static void member_event(struct qs_source *source, uint32_t events)
{
	(void)events;
	accept_links(qs_container(source, struct qs_member, source));
}

static int own_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* 0 and a connected socket; -ECONNREFUSED: nobody is there; -errno. */
static int connect_slot(const struct qs_member *member, unsigned slot, int *fd)
{
	struct sockaddr_un name;
	socklen_t len = member_name(&member->address, slot, &name);

	if (*fd < 0)
		*fd = own_socket();
	if (*fd < 0)
		return *fd;
	return connect(*fd, (struct sockaddr *)&name, len) < 0 ? -errno : 0;
}

static bool has_link(const struct qs_member *member, unsigned slot)
{
	const struct qs_link *link;

	TAILQ_FOREACH(link, &member->links, link)
	{
		if (link->to == slot || (link->known && link->peer.slot == slot))
			return true;
	}
	return false;
}

/* Connects to all whom we have no link to. False if somebody is there whom we can't talk to. */
static bool meet_others(struct qs_member *member)
{
	bool all = true;
	int fd = -1;

	for (unsigned slot = 0; slot < QS_GROUP_SLOTS; slot++) {
		int rv;

		if (slot == member->slot || has_link(member, slot))
			continue;
		rv = connect_slot(member, slot, &fd);
		if (rv == -ECONNREFUSED)
			continue;
		if (rv < 0 || !believed(member, fd) || qs_link_new(member, fd, slot) < 0) {
			all = false;
			if (fd >= 0)
				close(fd);
		}
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	return all;
}

/* --- membership --- */

static int take_slot(struct qs_member *member)
{
	struct sockaddr_un name;

	for (unsigned slot = 0; slot < QS_GROUP_SLOTS; slot++) {
		socklen_t len = member_name(&member->address, slot, &name);

		if (bind(member->source.fd, (struct sockaddr *)&name, len) == 0) {
			member->slot = (uint16_t)slot;
			return listen(member->source.fd, QS_GROUP_SLOTS) < 0 ? -errno : 0;
		}
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

int qs_member_join(struct qs_engine *engine, struct qs_endpoint *endpoint,
		   const struct qs_addr *address, uint64_t secret, struct qs_member **out)
{
	struct qs_member *member = calloc(1, sizeof(*member));
	int rv;

	if (member == NULL)
		return -ENOMEM;
	member->engine = engine;
	member->endpoint = endpoint;
	member->address = *address;
	member->secret = secret;
	member->uids[0] = member->uids[1] = geteuid();
	if (endpoint->owner >= 0)
		member->uids[1] = (uid_t)endpoint->owner;
	TAILQ_INIT(&member->links);
	member->source = (struct qs_source){.fd = own_socket(), .fn = member_event};
	rv = member->source.fd < 0 ? member->source.fd : open_set(engine);
	if (rv == 0 && getrandom(&member->generation, sizeof(member->generation), 0) < 0)
		rv = -errno;
	if (rv == 0)
		rv = take_slot(member);
	if (rv == 0)
		rv = qs_group_watch(engine, EPOLL_CTL_ADD, &member->source, EPOLLIN);
	if (rv < 0) {
		if (member->source.fd >= 0)
			close(member->source.fd);
		free(member);
		return rv;
	}
	member->met_ns = member->alone_since_ns = engine->now_ns;
	member->incomplete = !meet_others(member);
	*out = member;
	return 0;
}

static void member_grave(struct qs_grave *grave)
{
	struct qs_member *member = qs_container(grave, struct qs_member, grave);

	free(member->serves);
	free(member);
}

void qs_member_leave(struct qs_member *member)
{
	uint64_t until = clock_ms() + DRAIN_MS;
	struct qs_link *link;

	if (member == NULL)
		return;
	qs_timer_clear(&member->engine->timers, &member->settle);
	qs_group_watch(member->engine, EPOLL_CTL_DEL, &member->source, 0);
	close(member->source.fd);
	member->source.fd = -1;
	while ((link = TAILQ_FIRST(&member->links)) != NULL) {
		qs_link_drain(link, until);
		qs_link_end(link);
	}
	qs_engine_bury(member->engine, &member->grave, member_grave);
}

static void mark_late(struct qs_member *member)
{
	struct qs_link *link;

	TAILQ_FOREACH(link, &member->links, link)
	{
		if (link->asked != member->sync || link->acked == member->sync || link->late)
			continue;
		link->late = true;
		qs_log("slot %u of UDP port %u: slot %u does not answer", member->slot,
		       member->address.port, link->peer.slot);
	}
}

void qs_member_sweep(struct qs_member *member)
{
	uint64_t now = member->engine->now_ns;

	if (member->deaf) {
		member->deaf = false;
		qs_group_watch(member->engine, EPOLL_CTL_MOD, &member->source, EPOLLIN);
	}
	if (!member->incomplete || now - member->met_ns < MEET_NS)
		return;
	member->met_ns = now;
	member->incomplete = !meet_others(member);
	if (member->incomplete)
		member->alone_since_ns = now;
}

bool qs_member_is_alone(const struct qs_member *member)
{
	return member->engine->now_ns - member->alone_since_ns > ALONE_NS &&
	       !qs_member_has_neighbour(member);
}

void qs_member_sync(struct qs_member *member)
{
	uint64_t until = clock_ms() + SYNC_MS;
	struct qs_link *link;

	member->sync++;
	TAILQ_FOREACH(link, &member->links, link)
	{
		link->asked = member->sync;
		qs_link_say(link, QS_HANDOFF_SYNC, member->sync, NULL, 0);
	}
	for (;;) {
		uint64_t now = clock_ms();

		TAILQ_FOREACH(link, &member->links, link)
		{
			if (link->asked == member->sync && link->acked != member->sync &&
			    !link->late)
				break;
		}
		if (link == NULL)
			return;
		if (now >= until) {
			mark_late(member);
			return;
		}
		qs_group_handle(member->engine, (int)(until - now));
	}
}

void qs_member_publish(struct qs_member *member, const struct qs_serve *serves, unsigned n)
{
	struct qs_link *link;

	free(member->serves);
	member->serves = n > 0 ? calloc(n, sizeof(*serves)) : NULL;
	member->n_serves = member->serves != NULL ? n : 0;
	if (member->serves != NULL)
		memcpy(member->serves, serves, n * sizeof(*serves));
	TAILQ_FOREACH(link, &member->links, link)
	qs_link_say_serves(link);
}

struct qs_link *qs_member_link(struct qs_member *member, uint16_t slot)
{
	struct qs_link *link;

	TAILQ_FOREACH(link, &member->links, link)
	{
		if (link->known && link->peer.slot == slot)
			return link;
	}
	return NULL;
}

bool qs_member_slot_taken(const struct qs_member *member, uint16_t slot)
{
	int fd = -1;
	bool taken = slot < QS_GROUP_SLOTS && connect_slot(member, slot, &fd) != -ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return taken;
}

bool qs_member_has_neighbour(const struct qs_member *member)
{
	const struct qs_link *link;

	TAILQ_FOREACH(link, &member->links, link)
	{
		if (link->known && qs_addr_overlap(&link->peer.endpoint, &member->address))
			return true;
	}
	return false;
}

bool qs_member_has_twin(const struct qs_member *member)
{
	const struct qs_link *link;

	TAILQ_FOREACH(link, &member->links, link)
	{
		if (link->known && qs_addr_equal(&link->peer.endpoint, &member->address))
			return true;
	}
	return false;
}

void qs_member_bound(struct qs_member *member)
{
	struct qs_link *link;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	member->bound_ns = (uint64_t)ts.tv_sec * QS_NSEC + (uint64_t)ts.tv_nsec;
	TAILQ_FOREACH(link, &member->links, link)
	qs_link_say(link, QS_HANDOFF_BOUND, 0, &member->bound_ns, sizeof(member->bound_ns));
}

static bool is_elder(const struct qs_link *link, const struct qs_member *member)
{
	if (!link->known || link->bound_ns == 0 ||
	    !qs_addr_equal(&link->peer.endpoint, &member->address))
		return false;
	return link->bound_ns != member->bound_ns ? link->bound_ns < member->bound_ns
						  : link->peer.slot < member->slot;
}

bool qs_member_is_eldest(const struct qs_member *member, const struct qs_link *newcomer)
{
	const struct qs_link *link;

	if (member->bound_ns == 0 || (newcomer != NULL && is_elder(newcomer, member)))
		return false;
	TAILQ_FOREACH(link, &member->links, link)
	{
		if (is_elder(link, member))
			return false;
	}
	return true;
}
