/* SPDX-License-Identifier: MIT */
/* The control socket: one request, one reply, and the connection is closed. */
#include "conn.h"
#include "drain.h"
#include "engine.h"
#include "header.h"
#include "listen.h"
#include "log.h"
#include "request.h"
#include "stranger.h"
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CLIENTS_MAX 1024u
#define STRANGERS_MAX (CLIENTS_MAX / 2) /* of other users */
#define ACCEPTS_A_TURN 64
#define CLIENT_NS (5 * QS_NSEC)

/* One that has said nothing yet: the first thing it says is answered, and ends it. */
struct qs_control_client {
	struct qs_source source;
	struct qs_grave grave;
	struct qs_timer timer;
	struct qs_engine *engine;
	TAILQ_ENTRY(qs_control_client) link;
	bool stranger; /* another user's process: one that gave up root, or nobody we know */
};

static void client_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct qs_control_client, grave));
}

static void client_end(struct qs_control_client *client)
{
	qs_timer_clear(&client->engine->timers, &client->timer);
	qs_stranger_empty(client->source.fd);
	qs_source_close(client->engine, &client->source);
	TAILQ_REMOVE(&client->engine->controls, client, link);
	client->engine->n_controls--;
	client->engine->n_control_strangers -= client->stranger;
	qs_engine_bury(client->engine, &client->grave, client_grave);
}

static void client_timeout(struct qs_timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	client_end(qs_container(timer, struct qs_control_client, timer));
}

static void reply(int fd, const struct qs_control_reply *answer, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 3)];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)answer, sizeof(*answer)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		qs_log("control: no reply could be sent: %s", strerrorname_np(errno));
}

/* Reads the request and the one descriptor that may come with it. Returns false if it is no request. */
static bool receive(int fd, struct qs_control_req *req, int *sent_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 4)];
	} control;
	struct iovec iov = {req, sizeof(*req)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*sent_fd = -1;
	if (n < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (*sent_fd < 0)
				*sent_fd = got;
			else
				close(got);
		}
	}
	return (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
	       qs_header_is_control(req, (size_t)n);
}

static void serve_listen(struct qs_control_client *client, const struct qs_control_req *req,
			 int tcp_fd)
{
	struct qs_engine *engine = client->engine;
	struct qs_control_reply answer = {.magic = QS_CONTROL_MAGIC};
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	int out = -1, rv;

	getsockopt(client->source.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (!qs_header_same_net(tcp_fd, client->source.fd)) {
		answer.error = EADDRNOTAVAIL;
		snprintf(answer.text, sizeof(answer.text),
			 "the socket is of another network namespace than the engine");
		reply(client->source.fd, &answer, NULL, 0);
		close(tcp_fd);
		return;
	}
	rv = qs_listener_new(engine, tcp_fd, req->backlog, &req->options, cred.pid, &out,
			     answer.text);
	answer.error = -rv;
	if (rv < 0) {
		qs_log("listen of pid %d failed: %s: %s", cred.pid, strerrorname_np(-rv),
		       answer.text);
		reply(client->source.fd, &answer, NULL, 0);
		return;
	}
	qs_will_prepare(engine, true);
	reply(client->source.fd, &answer,
	      (int[]){out, engine->pages.status_fd, engine->pages.options_fd}, 3);
	close(out);
}

static void stay_for(struct qs_engine *engine, int fd)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	qs_keeper_add(&engine->keepers, cred.pid);
}

static void serve_privilege(struct qs_control_client *client, const struct qs_control_req *req)
{
	struct qs_control_reply answer = {.magic = QS_CONTROL_MAGIC};
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	getsockopt(client->source.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (client->engine->thread)
		answer.error = -qs_privilege_mirror(client->engine, cred.pid, &req->mirror);
	else
		qs_privilege_asked(client->engine, cred.pid);
	reply(client->source.fd, &answer, NULL, 0);
}

static void drain(struct qs_engine *engine, const void *argument)
{
	bool *const *busy = argument;
	struct qs_conn *conn;

	qs_drain_begin(engine);
	if (!qs_drain_done(engine)) {
		**busy = true;
		return;
	}
	TAILQ_FOREACH(conn, &engine->conns, link_all)
	qs_conn_close_idle(conn);
}

/* Only from process 1, with which this engine ends anyway. */
static void serve_drain(struct qs_control_client *client)
{
	struct qs_control_reply answer = {.magic = QS_CONTROL_MAGIC};
	bool busy = false, *const report = &busy;
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	getsockopt(client->source.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (cred.pid == 1) {
		drain(client->engine, &report);
		qs_workers_do(client->engine, drain, &report);
	}
	answer.error = cred.pid != 1 ? EPERM : busy ? EAGAIN : 0;
	reply(client->source.fd, &answer, NULL, 0);
}

/* `fd` is the descriptor that came along, or -1. Returns it, or -1 when it is in other hands. A
 * switch, so that no two requests get one number. */
static int serve(struct qs_control_client *client, const struct qs_control_req *req, int fd)
{
	struct qs_control_reply answer = {.magic = QS_CONTROL_MAGIC};
	struct qs_engine *engine = client->engine;
	int peer = client->source.fd;

	switch ((enum qs_op)req->op) {
	case QS_OP_LISTEN:
		if (fd < 0)
			break;
		serve_listen(client, req, fd);
		return -1;
	case QS_OP_STAY:
		stay_for(engine, peer);
		/* fall through */
	case QS_OP_PAGES:
		reply(peer, &answer, (int[]){engine->pages.status_fd, engine->pages.options_fd}, 2);
		return fd;
	case QS_OP_PRIVILEGE:
		serve_privilege(client, req);
		return fd;
	case QS_OP_DRAIN:
		serve_drain(client);
		return fd;
	case QS_OP_RING:
		if (req->ring.kind >= QS_RING_MAX)
			break;
		engine->totals.rings[req->ring.kind] += req->ring.n;
		reply(peer, &answer, NULL, 0);
		return fd;
	case QS_OP_PROBE:
		qs_listener_probe_all(engine);
		reply(peer, &answer, NULL, 0);
		return fd;
	}
	answer.error = EINVAL;
	reply(peer, &answer, NULL, 0);
	return fd;
}

static void client_event(struct qs_source *source, uint32_t events)
{
	struct qs_control_client *client = qs_container(source, struct qs_control_client, source);
	struct qs_control_req req;
	int fd;

	(void)events;
	if (receive(source->fd, &req, &fd) &&
	    qs_engine_may(client->engine, source->fd, req.token)) {
		fd = serve(client, &req, fd);
		if (fd >= 0)
			close(fd);
	} else {
		qs_engine_refused(client->engine, "control", 0);
		if (fd >= 0)
			qs_stranger_drop(fd);
	}
	client_end(client);
}

/* Anybody may connect and say nothing: of too many of other users' the eldest makes room. */
static void make_room(struct qs_engine *engine)
{
	struct qs_control_client *client;

	if (engine->n_control_strangers < STRANGERS_MAX)
		return;
	TAILQ_FOREACH(client, &engine->controls, link)
	{
		if (client->stranger) {
			qs_engine_refused(engine, "control", 0);
			client_end(client);
			return;
		}
	}
}

static bool is_stranger(int fd)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return cred.uid != 0 && cred.uid != geteuid();
}

static bool accept_one(struct qs_engine *engine)
{
	int fd = accept4(engine->control_source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct qs_control_client *client;

	if (fd < 0) {
		qs_engine_deafen(engine);
		return false;
	}
	make_room(engine);
	client = engine->n_controls < CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	if (client == NULL) {
		qs_stranger_empty(fd);
		close(fd);
		return true;
	}
	client->engine = engine;
	client->source = (struct qs_source){.fd = fd, .fn = client_event};
	client->timer.fn = client_timeout;
	client->stranger = is_stranger(fd);
	TAILQ_INSERT_TAIL(&engine->controls, client, link);
	engine->n_controls++;
	engine->n_control_strangers += client->stranger;
	if (qs_source_add(engine, &client->source, EPOLLIN) < 0 ||
	    qs_timer_set(&engine->timers, &client->timer, engine->now_ns + CLIENT_NS) < 0)
		client_end(client);
	return true;
}

void qs_request_accept_control(struct qs_source *source, uint32_t events)
{
	struct qs_engine *engine = qs_container(source, struct qs_engine, control_source);

	(void)events;
	/* Anybody may connect: the other work of the turn must come. */
	for (int i = 0; (i < ACCEPTS_A_TURN || engine->stopping) && accept_one(engine); i++)
		;
}
