/* SPDX-License-Identifier: MIT */
/* The status protocol's reader: bounded in time and memory whatever the other end sends. */
#include "status_read.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Theory. Anybody can listen on an abstract name that looks like an engine's. So the other end is
 * checked by its uid before a byte is read, and what it sends is checked even then: an engine that
 * a peer corrupted must not corrupt the terminal or the memory of root, who looks at it. Memory
 * grows with what has arrived, never with what was announced.
 */

#define CHUNK_ENTRIES 256u

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Returns 0 when fd can be read, -ETIMEDOUT or -errno. */
static int wait_readable(int fd, uint64_t deadline)
{
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		uint64_t now = now_ms();
		int n;

		if (now >= deadline)
			return -ETIMEDOUT;
		n = poll(&pfd, 1, (int)(deadline - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* Returns how many bytes came before the end, at most `size`, or -errno. */
static ssize_t read_up_to(int fd, void *buf, size_t size, uint64_t deadline)
{
	size_t have = 0;

	while (have < size) {
		int ret = wait_readable(fd, deadline);
		ssize_t n;

		if (ret < 0)
			return ret;
		n = recv(fd, (char *)buf + have, size - have, MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			if (errno == ECONNRESET)
				break;
			return -errno;
		}
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* Reads `count` entries of `size` bytes into a new array. */
static int read_entries(int fd, void **out, uint32_t count, size_t size, uint64_t deadline)
{
	uint32_t have = 0;

	while (have < count) {
		uint32_t more = count - have < CHUNK_ENTRIES ? count - have : CHUNK_ENTRIES;
		void *grown = realloc(*out, (have + more) * size);
		ssize_t n;

		if (!grown)
			return -ENOMEM;
		*out = grown;
		n = read_up_to(fd, (char *)grown + have * size, more * size, deadline);
		if (n < 0)
			return (int)n;
		if ((size_t)n != more * size)
			return -EPROTO;
		have += more;
	}
	return 0;
}

static void clean_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

static bool addr_ok(const struct qs_addr *addr)
{
	return addr->family == 0 || addr->family == AF_INET || addr->family == AF_INET6;
}

static bool connection_check(struct qs_status_connection *c)
{
	clean_text(c->alpn, sizeof(c->alpn));
	clean_text(c->sni, sizeof(c->sni));
	return c->state <= QS_CONNECTION_CLOSING && c->server <= 1 && addr_ok(&c->local) &&
	       addr_ok(&c->peer);
}

static bool stream_check(struct qs_status_stream *s)
{
	clean_text(s->program, sizeof(s->program));
	return s->state <= QS_SLOT_ENDED && s->server <= 1 && s->reason < QS_REASON_MAX &&
	       addr_ok(&s->local) && addr_ok(&s->remote);
}

static bool listener_check(struct qs_status_listener *l)
{
	clean_text(l->alpn, sizeof(l->alpn));
	clean_text(l->program, sizeof(l->program));
	return addr_ok(&l->address) && addr_ok(&l->endpoint);
}

static bool member_check(const struct qs_status_member *m)
{
	return m->rung <= QS_RUNG_EBPF && addr_ok(&m->endpoint);
}

static bool verdict_check(struct qs_status_verdict *v)
{
	clean_text(v->program, sizeof(v->program));
	return v->server <= 1 && v->reason < QS_REASON_MAX && v->cause < QS_REASON_MAX &&
	       addr_ok(&v->remote);
}

static bool failure_check(struct qs_status_failure *f)
{
	clean_text(f->alpn, sizeof(f->alpn));
	return f->reason < QS_REASON_MAX && addr_ok(&f->destination);
}

static int head_check(struct qs_status_head *head, uint64_t id)
{
	if (head->magic != QS_STATUS_MAGIC)
		return -EPROTO;
	if (head->version != QS_PROTOCOL_VERSION)
		return -EPROTONOSUPPORT;
	if (head->engine != id || head->thread > 1 || head->n_connections > QS_STATUS_ENTRIES_MAX ||
	    head->n_streams > QS_STATUS_ENTRIES_MAX || head->n_listeners > QS_STATUS_ENTRIES_MAX ||
	    head->n_members > QS_STATUS_ENTRIES_MAX || head->n_verdicts > QS_VERDICTS_MAX ||
	    head->n_failures > QS_FAILURES_MAX)
		return -EPROTO;
	clean_text(head->program, sizeof(head->program));
	clean_text(head->release, sizeof(head->release));
	clean_text(head->policy, sizeof(head->policy));
	return 0;
}

static int entries_check(struct qs_snapshot *s)
{
	for (uint32_t i = 0; i < s->head.n_connections; i++) {
		if (!connection_check(&s->connections[i]))
			return -EPROTO;
	}
	for (uint32_t i = 0; i < s->head.n_streams; i++) {
		if (!stream_check(&s->streams[i]))
			return -EPROTO;
	}
	for (uint32_t i = 0; i < s->head.n_listeners; i++) {
		if (!listener_check(&s->listeners[i]))
			return -EPROTO;
	}
	for (uint32_t i = 0; i < s->head.n_members; i++) {
		if (!member_check(&s->members[i]))
			return -EPROTO;
	}
	for (uint32_t i = 0; i < s->head.n_verdicts; i++) {
		if (!verdict_check(&s->verdicts[i]))
			return -EPROTO;
	}
	for (uint32_t i = 0; i < s->head.n_failures; i++) {
		if (!failure_check(&s->failures[i]))
			return -EPROTO;
	}
	return 0;
}

int qs_snapshot_read(int fd, uint64_t id, int timeout_ms, struct qs_snapshot *out)
{
	uint64_t deadline = now_ms() + (uint64_t)timeout_ms;
	struct qs_status_head *head = &out->head;
	void *connections = NULL, *streams = NULL, *listeners = NULL, *members = NULL;
	void *verdicts = NULL, *failures = NULL;
	ssize_t n;
	char extra;
	int ret;

	memset(out, 0, sizeof(*out));
	n = read_up_to(fd, head, sizeof(*head), deadline);
	if (n != (ssize_t)sizeof(*head)) {
		ret = n < 0 ? (int)n : n == 0 ? -EPIPE : -EPROTO;
		goto out;
	}
	ret = head_check(head, id);
	if (ret < 0)
		goto out;
	ret = read_entries(fd, &connections, head->n_connections, sizeof(*out->connections),
			   deadline);
	if (ret == 0)
		ret = read_entries(fd, &streams, head->n_streams, sizeof(*out->streams), deadline);
	if (ret == 0)
		ret = read_entries(fd, &listeners, head->n_listeners, sizeof(*out->listeners),
				   deadline);
	if (ret == 0)
		ret = read_entries(fd, &members, head->n_members, sizeof(*out->members), deadline);
	if (ret == 0)
		ret = read_entries(fd, &verdicts, head->n_verdicts, sizeof(*out->verdicts),
				   deadline);
	if (ret == 0)
		ret = read_entries(fd, &failures, head->n_failures, sizeof(*out->failures),
				   deadline);
	out->connections = connections;
	out->streams = streams;
	out->listeners = listeners;
	out->members = members;
	out->verdicts = verdicts;
	out->failures = failures;
	if (ret < 0)
		goto out;
	n = read_up_to(fd, &extra, 1, deadline);
	ret = n < 0 ? (int)n : n > 0 ? -EPROTO : entries_check(out);
out:
	if (ret < 0) {
		qs_snapshot_fini(out);
		memset(out, 0, sizeof(*out));
	}
	return ret;
}

void qs_snapshot_fini(struct qs_snapshot *snapshot)
{
	free(snapshot->connections);
	free(snapshot->streams);
	free(snapshot->listeners);
	free(snapshot->members);
	free(snapshot->verdicts);
	free(snapshot->failures);
	snapshot->connections = NULL;
	snapshot->streams = NULL;
	snapshot->listeners = NULL;
	snapshot->members = NULL;
	snapshot->verdicts = NULL;
	snapshot->failures = NULL;
}
