/* SPDX-License-Identifier: MIT */
/* A connect on the stream socket until its header is whole. The first contact with strangers. */
#include "request.h"

#include "header.h"
#include "log.h"
#include "race.h"
#include "stranger.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HEADER_NS (5 * QS_NSEC)
#define REQUESTS_MAX 16384u
#define STRANGERS_MAX 1024u
#define ACCEPTS_A_TURN 64

/*
 * Looks at the header and takes the app's descriptor. The kernel cuts what is sent into pieces of
 * half the send buffer and gives no more than the piece that the descriptor came with: all that is
 * said stands in the first one, the rest is filler. Once only: each look brings a descriptor. 1
 * whole, 0 not there yet, -1 no header.
 */
static int read_header(struct qs_request *request)
{
	char control[CMSG_SPACE(sizeof(int) * 16)];
	struct iovec iov = {request->req, QS_CONNECT_REQ_SIZE};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(request->source.fd, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fds[QS_CONNECT_FDS_MAX] = {-1, -1, -1};
	size_t n_fds = 0;
	struct cmsghdr *c;

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	for (c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n_fds < sizeof(fds) / sizeof(fds[0]))
				fds[n_fds++] = fd;
			else
				close(fd);
		}
	}
	request->app_fd = fds[0];
	request->tcp.fd = fds[1];
	request->wait_fd = fds[2];
	request->said = (size_t)n;
	return request->app_fd >= 0 && (msg.msg_flags & MSG_CTRUNC) == 0 ? 1 : -1;
}

/* Nothing of what it sent is kept. */
static void refuse(struct qs_request *request)
{
	int *const fds[] = {&request->app_fd, &request->tcp.fd, &request->wait_fd};

	qs_engine_refused(request->engine, "stream", request->pid);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			qs_stranger_drop(*fds[i]);
		*fds[i] = -1;
	}
	qs_stranger_empty(request->source.fd);
	qs_request_end(request);
}

static bool is_all_there(const struct qs_request *request)
{
	int queued = 0;

	return ioctl(request->source.fd, SIOCINQ, &queued) == 0 &&
	       (uint32_t)queued >= request->req->total;
}

static void request_event(struct qs_source *source, uint32_t events)
{
	struct qs_request *request = qs_container(source, struct qs_request, source);
	struct qs_engine *engine = request->engine;

	int got = request->said > 0 ? 1 : read_header(request);

	(void)events;
	if (got == 0)
		return;
	if (got < 0 || !qs_header_is_connect(request->req, request->said) ||
	    !qs_engine_may(engine, source->fd, request->req->token)) {
		refuse(request);
		return;
	}
	/* All of it must be in the queue before the app's end is touched: a smaller SO_SNDBUF would
	 * cut what is still to come. */
	if (!is_all_there(request))
		return;
	/* From here on the end of the app's descriptor is seen by the stream: nothing more to
	 * watch. */
	epoll_ctl(engine->epfd, EPOLL_CTL_DEL, source->fd, NULL);
	qs_request_decide(request);
}

static struct qs_request *request_new(struct qs_engine *engine, int fd)
{
	struct qs_request *request = calloc(1, sizeof(*request));
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	if (request != NULL)
		request->req = calloc(1, sizeof(*request->req));
	if (request == NULL || request->req == NULL) {
		free(request);
		return NULL;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	request->engine = engine;
	request->source = (struct qs_source){.fd = fd, .fn = request_event};
	request->app_fd = request->tcp.fd = request->wait_fd = -1;
	request->pid = cred.pid;
	request->stranger = cred.uid != 0 && cred.uid != geteuid();
	engine->n_strangers += request->stranger;
	request->slot = QS_SLOT_NONE;
	request->since_ns = engine->now_ns;
	return request;
}

/*
 * Anybody may connect and say nothing. Of too many of other users' the eldest makes room: who means it has said what
 * it wants within the turn.
 */
static void make_room(struct qs_engine *engine)
{
	struct qs_request *request;

	if (engine->n_strangers < STRANGERS_MAX)
		return;
	TAILQ_FOREACH(request, &engine->requests, link)
	{
		if (request->stranger && request->said == 0) {
			refuse(request);
			return;
		}
	}
}

void qs_request_accept_stream(struct qs_source *source, uint32_t events)
{
	struct qs_engine *engine = qs_container(source, struct qs_engine, stream_source);

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN || engine->stopping; i++) {
		int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct qs_request *request;

		if (fd < 0) {
			qs_engine_deafen(engine);
			return;
		}
		make_room(engine);
		request = engine->n_requests < REQUESTS_MAX ? request_new(engine, fd) : NULL;
		if (request == NULL ||
		    qs_source_add(engine, &request->source, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0) {
			engine->totals.requests_refused++;
			if (request != NULL) {
				engine->n_strangers -= request->stranger;
				free(request->req);
			}
			free(request);
			qs_stranger_empty(fd);
			close(fd);
			continue;
		}
		TAILQ_INSERT_TAIL(&engine->requests, request, link);
		engine->n_requests++;
		/* The header mostly is there already. */
		request_event(&request->source, EPOLLIN);
	}
}

void qs_request_sweep(struct qs_engine *engine)
{
	struct qs_request *request, *next;

	for (request = TAILQ_FIRST(&engine->requests); request != NULL; request = next) {
		next = TAILQ_NEXT(request, link);
		if (request->rule == NULL && engine->now_ns - request->since_ns > HEADER_NS) {
			refuse(request);
		}
	}
}
