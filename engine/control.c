/* SPDX-License-Identifier: MIT */
/* The control socket: one request, one reply, and the connection is closed. */
#include "engine.h"
#include "header.h"
#include "listen.h"
#include "log.h"
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CLIENTS_MAX 1024u
#define CLIENT_NS (5 * QS_NSEC)

struct client {
	struct qs_source source;
	struct qs_grave grave;
	struct qs_timer timer;
	struct qs_engine *engine;
};

static void client_grave(struct qs_grave *grave)
{
	free(qs_container(grave, struct client, grave));
}

static void client_end(struct client *client)
{
	qs_timer_clear(&client->engine->timers, &client->timer);
	qs_source_close(client->engine, &client->source);
	client->engine->n_controls--;
	qs_engine_bury(client->engine, &client->grave, client_grave);
}

static void client_timeout(struct qs_timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	client_end(qs_container(timer, struct client, timer));
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

static void serve_listen(struct client *client, const struct qs_control_req *req, int tcp_fd)
{
	struct qs_engine *engine = client->engine;
	struct qs_control_reply answer = {.magic = QS_CONTROL_MAGIC};
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	int out = -1, rv;

	getsockopt(client->source.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	rv = qs_listener_new(engine, tcp_fd, req->backlog, &req->options, cred.pid, &out,
			     answer.text);
	answer.error = -rv;
	if (rv < 0) {
		qs_log("listen of pid %d failed: %s: %s", cred.pid, strerrorname_np(-rv),
		       answer.text);
		reply(client->source.fd, &answer, NULL, 0);
		return;
	}
	reply(client->source.fd, &answer,
	      (int[]){out, engine->pages.status_fd, engine->pages.options_fd}, 3);
	close(out);
}

static void client_event(struct qs_source *source, uint32_t events)
{
	struct client *client = qs_container(source, struct client, source);
	struct qs_engine *engine = client->engine;
	struct qs_control_reply answer = {.magic = QS_CONTROL_MAGIC};
	struct qs_control_req req;
	int fd;

	(void)events;
	if (!receive(source->fd, &req, &fd) || !qs_engine_may(engine, source->fd, req.token)) {
		qs_engine_refused(engine, "control", 0);
	} else if (req.op == QS_OP_LISTEN && fd >= 0) {
		serve_listen(client, &req, fd);
		fd = -1;
	} else if (req.op == QS_OP_PAGES) {
		reply(source->fd, &answer,
		      (int[]){engine->pages.status_fd, engine->pages.options_fd}, 2);
	} else if (req.op == QS_OP_PROBE) {
		qs_listener_probe_all(engine);
		reply(source->fd, &answer, NULL, 0);
	} else {
		answer.error = EINVAL;
		reply(source->fd, &answer, NULL, 0);
	}
	if (fd >= 0)
		close(fd);
	client_end(client);
}

static bool accept_one(struct qs_engine *engine)
{
	int fd = accept4(engine->control_source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	if (fd < 0) {
		qs_engine_deafen(engine);
		return false;
	}
	client = engine->n_controls < CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	if (client == NULL) {
		close(fd);
		return true;
	}
	client->engine = engine;
	client->source = (struct qs_source){.fd = fd, .fn = client_event};
	client->timer.fn = client_timeout;
	engine->n_controls++;
	if (qs_source_add(engine, &client->source, EPOLLIN) < 0 ||
	    qs_timer_set(&engine->timers, &client->timer, engine->now_ns + CLIENT_NS) < 0)
		client_end(client);
	return true;
}

void qs_request_accept_control(struct qs_source *source, uint32_t events)
{
	struct qs_engine *engine = qs_container(source, struct qs_engine, control_source);

	(void)events;
	while (accept_one(engine))
		;
}
