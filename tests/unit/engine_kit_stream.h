/* SPDX-License-Identifier: MIT */
/* For test_engine*.c: connections through the engine of engine_kit.h, as the shim makes them. */
#ifndef QS_TEST_ENGINE_KIT_STREAM_H
#define QS_TEST_ENGINE_KIT_STREAM_H

#include "engine_kit.h"

KIT void kit_header(struct qs_connect_req *req, const char *ip, uint16_t port, bool blocking)
{
	memset(req, 0, sizeof(*req));
	req->magic = QS_CONNECT_MAGIC;
	req->version = QS_PROTOCOL_VERSION;
	memcpy(req->token, kit_id.token, sizeof(req->token));
	req->flags = blocking ? QS_CONNECT_BLOCKING : 0;
	req->dest = (struct qs_addr){.family = AF_INET, .port = port};
	inet_pton(AF_INET, ip, req->dest.ip);
	req->sndbuf = 2 * 212992;
	req->total = sizeof(*req);
}

/* Sends the header and does not wait. */
KIT int kit_connect_start(const char *ip, uint16_t port)
{
	static struct qs_connect_req req;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_un addr;
	socklen_t len = qs_control_address(&addr, kit_id.id, QS_CHANNEL_STREAM);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &one, sizeof(one));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, len), 0);
	kit_header(&req, ip, port, false);
	assert_int_equal(kit_send_fds(fd, &req, sizeof(req), &fd, 1), sizeof(req));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

KIT bool kit_mark(int fd, struct qs_mark *mark)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, &len) == 0 &&
	       qs_mark_decode(value, mark);
}

/* 0, or the errno that the app would see. */
KIT int kit_connect_finish(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	struct qs_mark mark = {0};

	assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	assert_true(kit_mark(fd, &mark));
	if (mark.state == QS_MARK_FAILED)
		return mark.error;
	assert_int_equal(mark.state, QS_MARK_OPEN);
	return 0;
}

/* Non-blocking connect, waited for. */
KIT int kit_connect(const char *ip, uint16_t port)
{
	int fd = kit_connect_start(ip, port), error = kit_connect_finish(fd);

	if (error != 0)
		fail_msg("connect: %s", strerrorname_np(error));
	return fd;
}

KIT int kit_accept(int listener)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};
	int fd;

	assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

/* The slot of a mapped descriptor: the accepting side finds it in the peer's name, the connecting
 * side in its mark. */
KIT const struct qs_slot *kit_slot(int fd)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	struct qs_record record;
	struct qs_mark mark;

	kit_pages();
	if (getpeername(fd, (struct sockaddr *)&addr, &len) == 0 &&
	    qs_record_decode(&addr, len, &record) == 0) {
		assert_int_equal(kit_page->slots[record.slot].generation, record.generation);
		return &kit_page->slots[record.slot];
	}
	assert_true(kit_mark(fd, &mark));
	assert_int_equal(kit_page->slots[mark.slot].generation, mark.generation);
	return &kit_page->slots[mark.slot];
}

/* Reads exactly `len` bytes, or until the end (then fewer). -1 with errno for an error. */
KIT ssize_t kit_read(int fd, void *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		ssize_t n = recv(fd, (char *)data + at, len - at, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n > 0)
			at += (size_t)n;
		else if (errno != EAGAIN)
			return -1;
		else
			assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	}
	return (ssize_t)at;
}

KIT void kit_write(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};
		ssize_t n =
			send(fd, (const char *)data + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EAGAIN)
			fail_msg("send: %s", strerrorname_np(errno));
		else
			assert_int_equal(poll(&pfd, 1, KIT_MS_MAX), 1);
	}
}

/* Waits for the end of what comes; the errno that the shim would tell the app: 0 for an end in
 * order. */
KIT int kit_end_errno(int fd)
{
	char byte;
	ssize_t n = kit_read(fd, &byte, 1);

	assert_true(n <= 0);
	return kit_slot(fd)->error != 0 ? kit_slot(fd)->error : n < 0 ? errno : 0;
}

/* A small exchange in both directions. */
KIT void kit_ping(int a, int b, char what)
{
	char got = 0;

	kit_write(a, &what, 1);
	assert_int_equal(kit_read(b, &got, 1), 1);
	assert_int_equal(got, what);
	kit_write(b, &what, 1);
	assert_int_equal(kit_read(a, &got, 1), 1);
	assert_int_equal(got, what);
}

/* Both ends of one new mapped connection. */
KIT void kit_pair(const char *ip, uint16_t port, int listener, int *client, int *server)
{
	*client = kit_connect(ip, port);
	*server = kit_accept(listener);
}

#endif
