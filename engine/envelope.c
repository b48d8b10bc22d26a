/* SPDX-License-Identifier: MIT */
/* Plain TCP connections of a listener: in mode prefer on their way into the app, in mode quic out again. */

/*
 * Theory. A TCP socket that listens already when it comes to us (LISTEN_FDS) can't be made to stop: the service
 * manager has it too, and would see its end. So in mode quic what comes there is accepted and reset at once.
 *
 * In mode prefer the app's descriptor is an AF_UNIX listener, and TCP clients shall have native speed: so
 * each accepted TCP socket is sent to the app as it is, in an envelope (control.h), by way of that
 * listener. poll, EMFILE, and the herd of workers are then the kernel's, and the queue of the TCP
 * listener is its backlog: while the app's queue has no room one connection is held here, and no
 * more are accepted.
 * No copy stays here: an epoll registration, and the connection, would outlive the app's close.
 * The app waits for the octet that says so. An envelope that comes back met a process without a
 * free descriptor; it is delivered again. One that nobody opens (the listener is closed, the process
 * dies) is closed by the kernel with SO_LINGER 0, and the client gets its reset.
 */
#include "envelope.h"

#include "fallback.h"
#include "listen.h"
#include "log.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 32
#define RETRY_NS (2 * QS_MSEC)
#define NO_DESCRIPTORS_NS (100 * QS_MSEC)

static void envelope_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_envelope, grave));
}

static void envelope_end(struct qs_envelope *envelope)
{
	struct qs_listener *listener = envelope->listener;

	if (envelope->source.fd >= 0)
		qs_source_close(listener->engine, &envelope->source);
	if (envelope->tcp_fd >= 0)
		qs_relay_close_tcp(envelope->tcp_fd, true);
	envelope->tcp_fd = -1;
	if (listener->held == envelope)
		listener->held = NULL;
	TAILQ_REMOVE(&listener->envelopes, envelope, link);
	qs_engine_bury(listener->engine, &envelope->grave, envelope_grave);
}

static void pause_accepting(struct qs_listener *listener, uint64_t ns)
{
	qs_source_modify(listener->engine, &listener->tcp, 0);
	qs_timer_set(&listener->engine->timers, &listener->tcp_timer,
		     listener->engine->now_ns + ns);
}

/* Puts the TCP socket into the envelope, and says when no copy of it is left here. 0 or -errno. */
static int fill(struct qs_envelope *envelope, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct linger linger = {.l_onoff = 1};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (envelope->own_linger &&
	    setsockopt(envelope->tcp_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0)
		byte = QS_ENVELOPE_LINGER;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &envelope->tcp_fd, sizeof(int));
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	close(envelope->tcp_fd); /* not the last one: never sleeps */
	envelope->tcp_fd = -1;
	send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return 0;
}

static void count(struct qs_envelope *envelope)
{
	struct qs_listener *listener = envelope->listener;
	struct qs_status_verdict verdict = {.pid = listener->pid,
					    .remote = envelope->peer,
					    .server = 1,
					    .reason = QS_REASON_CLIENT,
					    .cause = QS_REASON_CLIENT,
					    .rule_line = (uint32_t)listener->rule->line};

	if (envelope->counted)
		return;
	memcpy(verdict.program, listener->program, sizeof(verdict.program));
	envelope->counted = true;
	listener->accepted_tcp++;
	qs_verdict_keep(listener->engine, &verdict);
}

/* The descriptor that waits in `fd`, a copy of it: -ENOENT if none does, -EMFILE. */
static int look_for_fd(int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int fds[2] = {-ENOENT, -1}; /* what there is room for: the control buffer is aligned */
	size_t len;

	if (recvmsg(fd, &msg, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC) != 1)
		return -ENOENT;
	if (control.header.cmsg_len > CMSG_LEN(0) && control.header.cmsg_type == SCM_RIGHTS) {
		len = control.header.cmsg_len - CMSG_LEN(0);
		memcpy(fds, CMSG_DATA(&control.header), len < sizeof(fds) ? len : sizeof(fds));
	}
	if (fds[1] >= 0)
		close(fds[1]);
	if (fds[0] >= 0 && (fds[1] >= 0 || (msg.msg_flags & MSG_CTRUNC) != 0)) {
		close(fds[0]);
		fds[0] = -ENOENT;
	}
	return msg.msg_flags & MSG_CTRUNC ? -EMFILE : fds[0];
}

static void deliver(struct qs_envelope *envelope);

/* It has been opened, or is gone with its process, or it comes back: the app's end of it, whole. */
static void look_into(struct qs_envelope *envelope)
{
	struct qs_listener *listener = envelope->listener;
	int end = look_for_fd(envelope->source.fd), tcp_fd = end;

	if (end >= 0) {
		tcp_fd = look_for_fd(end);
		close(end);
	}
	if (tcp_fd == -EMFILE) {
		epoll_ctl(listener->engine->epfd, EPOLL_CTL_DEL, envelope->source.fd, NULL);
		envelope->returned = true;
		pause_accepting(listener, NO_DESCRIPTORS_NS);
		return;
	}
	envelope->returned = false;
	qs_source_close(listener->engine, &envelope->source);
	if (tcp_fd < 0) {
		envelope_end(envelope);
		return;
	}
	envelope->tcp_fd = tcp_fd;
	deliver(envelope);
}

static void envelope_event(struct qs_source *source, uint32_t events)
{
	struct qs_envelope *envelope = qs_container(source, struct qs_envelope, source);

	(void)events;
	if (!envelope->returned)
		look_into(envelope);
}

/* An end that is named as an envelope, filled, and connected to the app's listener. It or -errno. */
static int open_end(struct qs_envelope *envelope)
{
	struct qs_listener *listener = envelope->listener;
	struct qs_record record = {.engine = listener->engine->identity.id,
				   .local = envelope->local,
				   .peer = envelope->peer};
	struct sockaddr_un name, path;
	socklen_t name_len = qs_record_encode(&record, &name),
		  path_len = qs_listener_path(listener, &path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rv = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name, name_len) < 0 ||
	    connect(fd, (struct sockaddr *)&path, path_len) < 0)
		rv = -errno;
	if (rv == 0)
		rv = fill(envelope, fd);
	if (rv == 0)
		return fd;
	close(fd);
	return rv;
}

static void deliver(struct qs_envelope *envelope)
{
	struct qs_listener *listener = envelope->listener;
	int fd = open_end(envelope);

	if (fd >= 0) {
		count(envelope);
		envelope->source = (struct qs_source){.fd = fd, .fn = envelope_event};
		if (qs_source_add(listener->engine, &envelope->source, EPOLLIN) < 0)
			envelope_end(envelope); /* it is on its way, but can't come back */
	} else if (fd == -ECONNREFUSED || fd == -ENOENT) {
		listener->refused++; /* the listener is gone; the next probe sees it too */
		envelope_end(envelope);
	} else { /* no room in the app's queue, or no descriptors: later */
		if (listener->held == NULL)
			listener->held = envelope;
		pause_accepting(listener, fd == -EAGAIN ? RETRY_NS : NO_DESCRIPTORS_NS);
	}
}

static void ask_socket(struct qs_envelope *envelope)
{
	struct linger linger = {0};
	struct sockaddr_storage sa;
	socklen_t len = sizeof(linger);

	envelope->own_linger =
		getsockopt(envelope->tcp_fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
		!linger.l_onoff;
	len = sizeof(sa);

	if (getsockname(envelope->tcp_fd, (struct sockaddr *)&sa, &len) == 0)
		qs_addr_from_sockaddr(&envelope->local, (struct sockaddr *)&sa, len);
}

/* Later there may be some. */
static bool is_want(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static bool accept_one(struct qs_listener *listener)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(listener->tcp_fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
	struct qs_envelope *envelope;
	struct qs_options applied;

	if (fd < 0) {
		/* Whoever shares it has shut it down, and it would say so for ever. */
		if (errno == EINVAL)
			epoll_ctl(listener->engine->epfd, EPOLL_CTL_DEL, listener->tcp_fd, NULL);
		else if (is_want(errno))
			pause_accepting(listener, NO_DESCRIPTORS_NS);
		return errno == ECONNABORTED;
	}
	envelope = calloc(1, sizeof(*envelope));
	if (envelope == NULL) {
		qs_relay_close_tcp(fd, true);
		return false;
	}
	envelope->source.fd = -1;
	envelope->listener = listener;
	envelope->tcp_fd = fd;
	qs_addr_from_sockaddr(&envelope->peer, (struct sockaddr *)&sa, len);
	ask_socket(envelope);
	/* What was set after listen(): the kernel made this socket without it. */
	applied = listener->options;
	qs_relay_options(fd, &listener->engine->pages.options[listener->slot], &applied);
	TAILQ_INSERT_TAIL(&listener->envelopes, envelope, link);
	deliver(envelope);
	return true;
}

static void tcp_event(struct qs_source *source, uint32_t events)
{
	struct qs_listener *listener = qs_container(source, struct qs_listener, tcp);

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN && listener->held == NULL; i++) {
		if (!accept_one(listener))
			break;
	}
}

static void tcp_timer(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_listener *listener = qs_container(timer, struct qs_listener, tcp_timer);
	struct qs_envelope *envelope, *next;

	(void)now_ns;
	/* Mostly one is held; more where several processes had no descriptors. */
	listener->held = NULL;
	for (envelope = TAILQ_FIRST(&listener->envelopes); envelope != NULL; envelope = next) {
		next = TAILQ_NEXT(envelope, link);
		if (envelope->returned)
			look_into(envelope);
		else if (envelope->source.fd < 0)
			deliver(envelope);
		if (listener->tcp_timer.index != 0)
			return; /* set again */
	}
	qs_source_modify(listener->engine, &listener->tcp, EPOLLIN);
}

int qs_envelope_listen(struct qs_listener *listener, int backlog)
{
	int fd = listener->tcp_fd;

	if (listen(fd, backlog) < 0)
		return -errno;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	listener->tcp_timer.fn = tcp_timer;
	listener->tcp = (struct qs_source){.fd = fd, .fn = tcp_event};
	return qs_source_add(listener->engine, &listener->tcp, EPOLLIN);
}

/* They would wait for ever in a queue that nobody empties. */
static void away_event(struct qs_source *source, uint32_t events)
{
	struct qs_listener *listener = qs_container(source, struct qs_listener, tcp);

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(listener->tcp_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			qs_relay_close_tcp(fd, true);
			listener->refused++;
		} else if (is_want(errno)) {
			pause_accepting(listener, NO_DESCRIPTORS_NS);
			return;
		} else if (errno != ECONNABORTED) {
			if (errno != EAGAIN) /* whoever shares it has shut it down */
				qs_envelope_stop(listener);
			return;
		}
	}
}

int qs_envelope_turn_away(struct qs_listener *listener)
{
	int fd = listener->tcp_fd;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	listener->tcp_timer.fn = tcp_timer;
	listener->tcp = (struct qs_source){.fd = fd, .fn = away_event};
	return qs_source_add(listener->engine, &listener->tcp, EPOLLIN);
}

void qs_envelope_stop(struct qs_listener *listener)
{
	qs_timer_clear(&listener->engine->timers, &listener->tcp_timer);
	if (listener->tcp.fd >= 0)
		epoll_ctl(listener->engine->epfd, EPOLL_CTL_DEL, listener->tcp.fd, NULL);
	listener->tcp.fd = -1;
	while (!TAILQ_EMPTY(&listener->envelopes))
		envelope_end(TAILQ_FIRST(&listener->envelopes));
}
