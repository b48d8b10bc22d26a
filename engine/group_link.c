/* SPDX-License-Identifier: MIT */
/* One connection to an engine that shares our UDP port: queue out, messages in. */
#include "group_parts.h"

#include "endpoint.h"
#include "ladder.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX (8u << 20) /* octets that wait for one link's peer */
#define SAY_MAX (QUEUE_MAX + (2u << 20)) /* with what we say ourselves */
#define HINTS_MAX (256u << 10) /* octets that wait, and no hint is added to them */
#define BUFFER_OCTETS (4 << 20)
#define MESSAGES_A_TURN 64

struct qs_link_message {
	STAILQ_ENTRY(qs_link_message) link;
	size_t len;
	uint8_t data[];
};

static void link_grave(struct qs_grave *grave)
{
	struct qs_link *link = qs_container(grave, struct qs_link, grave);

	free(link->serves);
	free(link->coming);
	free(link);
}

void qs_link_end(struct qs_link *link)
{
	struct qs_link_message *message;

	while ((message = STAILQ_FIRST(&link->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&link->queue, link);
		free(message);
	}
	qs_endpoint_sibling_gone(link->member->endpoint, link);
	link->member->incomplete = true;
	link->member->alone_since_ns = link->member->engine->now_ns;
	TAILQ_REMOVE(&link->member->links, link, link);
	link->member->n_links--;
	qs_group_watch(link->member->engine, EPOLL_CTL_DEL, &link->source, 0);
	close(link->source.fd);
	link->source.fd = -1;
	qs_engine_bury(link->member->engine, &link->grave, link_grave);
}

/* --- out --- */

/* Sends or queues: at most `most` octets. False if it was lost. */
static bool put(struct qs_link *link, const struct iovec *iov, size_t n_iov, size_t most)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n_iov};
	struct qs_link_message *message;
	size_t len = 0;

	if (STAILQ_EMPTY(&link->queue)) {
		if (sendmsg(link->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
			return false;
	}
	for (size_t i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	len += sizeof(*message);
	message = link->queued + len <= most ? malloc(len) : NULL;
	if (message == NULL)
		return false;
	message->len = 0;
	for (size_t i = 0; i < n_iov; i++) {
		memcpy(message->data + message->len, iov[i].iov_base, iov[i].iov_len);
		message->len += iov[i].iov_len;
	}
	if (STAILQ_EMPTY(&link->queue))
		qs_group_watch(link->member->engine, EPOLL_CTL_MOD, &link->source,
			       EPOLLIN | EPOLLOUT);
	STAILQ_INSERT_TAIL(&link->queue, message, link);
	link->queued += len;
	return true;
}

static void flush(struct qs_link *link, int flags)
{
	struct qs_link_message *message;

	while ((message = STAILQ_FIRST(&link->queue)) != NULL) {
		if (send(link->source.fd, message->data, message->len, flags | MSG_NOSIGNAL) < 0)
			return;
		STAILQ_REMOVE_HEAD(&link->queue, link);
		link->queued -= message->len + sizeof(*message);
		free(message);
	}
	qs_group_watch(link->member->engine, EPOLL_CTL_MOD, &link->source, EPOLLIN);
}

void qs_link_drain(struct qs_link *link, uint64_t until_ms)
{
	struct timespec ts;

	while (!STAILQ_EMPTY(&link->queue) && !link->late) {
		struct pollfd pfd = {.fd = link->source.fd, .events = POLLOUT};
		uint64_t now;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / QS_MSEC;
		if (now >= until_ms || poll(&pfd, 1, (int)(until_ms - now)) <= 0 ||
		    (pfd.revents & (POLLERR | POLLHUP)))
			return;
		flush(link, MSG_DONTWAIT);
	}
}

void qs_link_say(struct qs_link *link, enum qs_handoff_type type, uint32_t number, const void *body,
		 size_t len)
{
	struct qs_handoff_head head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, len}};

	qs_handoff_head(&head, type, number);
	/* Without it the peer would misread what follows: the link ends, and is made again. */
	if (!put(link, iov, len > 0 ? 2 : 1, SAY_MAX) && link->source.fd >= 0)
		shutdown(link->source.fd, SHUT_RDWR);
}

void qs_link_hint(struct qs_link *link, enum qs_handoff_type type, uint32_t number,
		  const void *body, size_t len)
{
	struct qs_handoff_head head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, len}};

	qs_handoff_head(&head, type, number);
	(void)put(link, iov, 2, HINTS_MAX);
}

void qs_link_say_serves(struct qs_link *link)
{
	const struct qs_member *member = link->member;

	qs_link_say(link, QS_HANDOFF_SERVES, member->n_serves, NULL, 0);
	for (unsigned i = 0; i < member->n_serves; i++)
		qs_link_say(link, QS_HANDOFF_SERVE, 0, &member->serves[i],
			    sizeof(member->serves[i]));
}

bool qs_link_send(struct qs_link *link, enum qs_handoff_type type, uint32_t number,
		  const struct qs_udp_train *train)
{
	struct qs_handoff_head head;
	struct iovec iov[2] = {{&head, sizeof(head)}, {train->data, train->len}};

	if (qs_handoff_train(&head, type, number, train) == 0 && put(link, iov, 2, QUEUE_MAX)) {
		link->member->handed_out++;
		return true;
	}
	link->member->lost++;
	return false;
}

void qs_link_send_fds(struct qs_link *link, const int *fds, unsigned n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * QS_LADDER_FDS)];
	} control = {0};
	struct qs_handoff_head head;
	struct iovec iov = {&head, sizeof(head)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;
	bool was_untold;

	qs_handoff_head(&head, QS_HANDOFF_STEER, n);
	if (n > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	was_untold = link->untold;
	link->untold = !STAILQ_EMPTY(&link->queue) ||
		       sendmsg(link->source.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
	if (link->untold && !was_untold)
		qs_log("slot %u is not told of the steering yet", link->peer.slot);
}

/* --- in --- */

/* Descriptors that came with a message. */
struct gift {
	int fds[QS_LADDER_FDS];
	unsigned n;
};

static void gift_close(struct gift *gift)
{
	for (unsigned i = 0; i < gift->n; i++)
		close(gift->fds[i]);
	gift->n = 0;
}

static void gift_take(struct gift *gift, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (gift->n < QS_LADDER_FDS)
				gift->fds[gift->n++] = fd;
			else
				close(fd);
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		gift_close(gift);
}

static int take_serves(struct qs_link *link, uint32_t n)
{
	if (n > QS_GROUP_SERVES_MAX || link->n_due > 0)
		return -EPROTO;
	link->coming = n > 0 ? calloc(n, sizeof(*link->coming)) : NULL;
	if (n > 0 && link->coming == NULL)
		return -ENOMEM;
	link->n_due = n;
	link->n_coming = 0;
	return 0;
}

static int take_serve(struct qs_link *link, const struct qs_serve *serve)
{
	if (link->n_coming >= link->n_due || !qs_addr_equal(&serve->endpoint, &link->peer.endpoint))
		return -EPROTO;
	link->coming[link->n_coming++] = *serve;
	return 0;
}

/* The list is whole: it takes effect at once. */
static void exchange(struct qs_link *link)
{
	if (link->n_coming < link->n_due)
		return;
	qs_endpoint_sibling_gone(link->member->endpoint, link);
	free(link->serves);
	link->serves = link->coming;
	link->n_serves = link->n_due;
	link->served |= link->n_serves > 0;
	link->coming = NULL;
	link->n_coming = link->n_due = 0;
	qs_endpoint_group_changed(link->member->endpoint);
}

static int take_hello(struct qs_link *link, const struct qs_handoff_hello *hello)
{
	const struct qs_member *member = link->member;

	if (link->known || hello->slot >= QS_GROUP_SLOTS || hello->slot == member->slot ||
	    hello->endpoint.family != member->address.family ||
	    hello->endpoint.port != member->address.port)
		return -EPROTO;
	link->peer = *hello;
	link->known = true;
	qs_log("slot %u of UDP port %u: pid %d has slot %u", member->slot, member->address.port,
	       hello->pid, hello->slot);
	qs_endpoint_group_changed(member->endpoint);
	return 0;
}

static int take_bound(struct qs_link *link, uint64_t bound_ns)
{
	struct qs_endpoint *endpoint = link->member->endpoint;

	if (link->bound_ns != 0)
		return -EPROTO;
	link->bound_ns = bound_ns;
	if (qs_addr_equal(&link->peer.endpoint, &endpoint->address))
		qs_ladder_bound(endpoint, link);
	return 0;
}

static void take_steer(struct qs_link *link, uint32_t number, struct gift *gift)
{
	struct qs_endpoint *endpoint = link->member->endpoint;

	if (number != gift->n || (number != 0 && number != QS_LADDER_FDS) ||
	    !qs_addr_equal(&link->peer.endpoint, &endpoint->address))
		return;
	link->has_ebpf |= gift->n > 0;
	qs_ladder_take(endpoint, gift->fds, gift->n);
	gift->n = 0;
}

static int take(struct qs_link *link, const struct qs_handoff *message, struct gift *gift)
{
	int rv = 0;

	if (!link->known && message->type != QS_HANDOFF_HELLO)
		return -EPROTO;
	switch (message->type) {
	case QS_HANDOFF_HELLO:
		return take_hello(link, message->hello);
	case QS_HANDOFF_SERVES:
		rv = take_serves(link, message->number);
		if (rv == 0)
			exchange(link);
		return rv;
	case QS_HANDOFF_SERVE:
		rv = take_serve(link, message->serve);
		if (rv == 0)
			exchange(link);
		return rv;
	case QS_HANDOFF_SYNC:
		qs_endpoint_group_asked(link->member->endpoint);
		qs_link_asked(link, message->number);
		return 0;
	case QS_HANDOFF_ACK:
		link->acked = message->number;
		link->late &= link->acked != link->asked;
		return 0;
	case QS_HANDOFF_BOUND:
		return take_bound(link, message->bound_ns);
	case QS_HANDOFF_STEER:
		take_steer(link, message->number, gift);
		return 0;
	case QS_HANDOFF_INDEX:
		qs_ladder_found(link->member->endpoint, link->peer.slot, message->number,
				message->nonce);
		return 0;
	case QS_HANDOFF_CLASSIC:
		link->is_keeper = message->number != 0;
		return 0;
	case QS_HANDOFF_DOUBT:
		qs_ladder_doubt(link->member->endpoint, NULL);
		return 0;
	case QS_HANDOFF_PACKETS:
	case QS_HANDOFF_FLIGHT:
	case QS_HANDOFF_ORPHAN:
		link->member->handed_in++;
		qs_endpoint_handed(link->member->endpoint, message);
		return 0;
	case QS_HANDOFF_N_TYPES:
		break;
	}
	return -EPROTO;
}

/* One message. 1; 0 nothing there; -errno the link is over. */
static int read_one(struct qs_link *link)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * QS_LADDER_FDS)];
	} control;
	uint8_t *buf = link->member->engine->handoff_memory;
	struct iovec iov = {buf, QS_HANDOFF_MAX};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(link->source.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct qs_handoff message;
	struct gift gift = {0};
	int rv;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	gift_take(&gift, &msg);
	if (n == 0)
		rv = -ECONNRESET;
	else if (msg.msg_flags & MSG_TRUNC)
		rv = -EPROTO;
	else
		rv = qs_handoff_parse(buf, (size_t)n, &message);
	if (rv == 0)
		rv = take(link, &message, &gift);
	gift_close(&gift);
	return rv < 0 ? rv : 1;
}

static void link_event(struct qs_source *source, uint32_t events)
{
	struct qs_link *link = qs_container(source, struct qs_link, source);
	struct qs_member *member = link->member;
	int rv = 1;

	if (events & EPOLLOUT)
		flush(link, MSG_DONTWAIT);
	for (int i = 0; i < MESSAGES_A_TURN && rv > 0 && source->fd >= 0; i++)
		rv = read_one(link);
	if (rv >= 0 || source->fd < 0)
		return;
	if (rv != -ECONNRESET)
		qs_log("slot %u of UDP port %u: the link to slot %u ends: %s", member->slot,
		       member->address.port, link->peer.slot, strerrorname_np(-rv));
	qs_link_end(link);
	qs_endpoint_group_changed(member->endpoint);
}

int qs_link_new(struct qs_member *member, int fd, unsigned to)
{
	struct qs_link *link = calloc(1, sizeof(*link));
	struct qs_handoff_hello hello = {.endpoint = member->address,
					 .slot = member->slot,
					 .generation = member->generation,
					 .pid = getpid(),
					 .secret = member->secret};
	int size = BUFFER_OCTETS, rv;

	if (link == NULL)
		return -ENOMEM;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	link->member = member;
	link->to = (uint16_t)to;
	link->source = (struct qs_source){.fd = fd, .fn = link_event};
	STAILQ_INIT(&link->queue);
	rv = qs_group_watch(member->engine, EPOLL_CTL_ADD, &link->source, EPOLLIN);
	if (rv < 0) {
		free(link);
		return rv;
	}
	TAILQ_INSERT_TAIL(&member->links, link, link);
	member->n_links++;
	memcpy(hello.token_secret, member->endpoint->token_secret, sizeof(hello.token_secret));
	memcpy(hello.program, member->engine->program, sizeof(hello.program));
	qs_link_say(link, QS_HANDOFF_HELLO, 0, &hello, sizeof(hello));
	qs_link_say_serves(link);
	if (member->bound_ns != 0)
		qs_link_say(link, QS_HANDOFF_BOUND, 0, &member->bound_ns, sizeof(member->bound_ns));
	return 0;
}
