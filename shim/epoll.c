/* SPDX-License-Identifier: MIT */
/* epoll_ctl: registrations made before connect() or listen() survive the change of the file behind
 * a descriptor. */
#include "epoll.h"

#include "raw.h"
#include "real.h"
#include "state.h"

#include <stdatomic.h>
#include <string.h>

/*
 * Theory. epoll keys a registration by file and descriptor: dup3() over a registered descriptor
 * removes it without a word. So the last thing that the app said about each (descriptor, epoll) is
 * remembered in a fixed table, whose entries may be stale or overwritten by others: EPOLL_CTL_DEL
 * on the descriptor, just before dup3(), is the judge. If it succeeds the registration was there,
 * and is made again afterwards. No lock: an entry has a sequence number, odd while it is written; a
 * writer that finds it odd (another thread is there, or was there at fork) does without. Only
 * processes with a policy come here.
 */

#define BUCKETS 1024u
#define WAYS QS_EPOLL_SAVED_MAX

struct entry {
	_Atomic uint32_t seq;
	_Atomic int fd; /* + 1; 0 = empty */
	_Atomic int epfd;
	_Atomic uint32_t events;
	_Atomic uint64_t data;
};

static struct entry table[BUCKETS][WAYS];

static struct entry *bucket(int fd)
{
	return table[(unsigned)fd % BUCKETS];
}

static void store(struct entry *entry, int fd, int epfd, const struct epoll_event *event)
{
	uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_relaxed);

	if ((seq & 1) || !atomic_compare_exchange_strong(&entry->seq, &seq, seq + 1))
		return;
	entry->fd = event ? fd + 1 : 0;
	entry->epfd = epfd;
	if (event) {
		entry->events = event->events;
		entry->data = event->data.u64;
	}
	atomic_store_explicit(&entry->seq, seq + 2, memory_order_release);
}

static void note(int epfd, int op, int fd, const struct epoll_event *event)
{
	struct entry *ways = bucket(fd), *free_way = NULL;
	static atomic_uint turn;

	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[i].fd == fd + 1 && ways[i].epfd == epfd) {
			store(&ways[i], fd, epfd, op == EPOLL_CTL_DEL ? NULL : event);
			return;
		}
		if (!ways[i].fd)
			free_way = &ways[i];
	}
	if (op == EPOLL_CTL_DEL)
		return;
	if (!free_way)
		free_way = &ways[atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % WAYS];
	store(free_way, fd, epfd, event);
}

static bool load(struct entry *entry, int fd, int *epfd, struct epoll_event *event)
{
	uint32_t seq = atomic_load_explicit(&entry->seq, memory_order_acquire);

	if ((seq & 1) || entry->fd != fd + 1)
		return false;
	*epfd = entry->epfd;
	memset(event, 0, sizeof(*event));
	event->events = entry->events;
	event->data.u64 = entry->data;
	return atomic_load_explicit(&entry->seq, memory_order_acquire) == seq;
}

void qs_epoll_take(int fd, struct qs_epoll_saved *out)
{
	struct entry *ways = bucket(fd);

	out->n = 0;
	for (unsigned i = 0; i < WAYS; i++) {
		struct epoll_event event;
		int epfd;

		if (!load(&ways[i], fd, &epfd, &event))
			continue;
		if (qs_raw(SYS_epoll_ctl, epfd, EPOLL_CTL_DEL, fd, NULL) < 0) {
			store(&ways[i], fd, epfd, NULL);
			continue;
		}
		out->at[out->n].epfd = epfd;
		out->at[out->n++].event = event;
	}
}

void qs_epoll_give(int fd, const struct qs_epoll_saved *saved)
{
	for (unsigned i = 0; i < saved->n; i++) {
		struct epoll_event event = saved->at[i].event;

		qs_raw(SYS_epoll_ctl, saved->at[i].epfd, EPOLL_CTL_ADD, fd, &event);
	}
}

QS_EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	int rc = qs_real.epoll_ctl(epfd, op, fd, event);

	if (rc == 0 && fd >= 0 && (event || op == EPOLL_CTL_DEL) && qs_watching())
		note(epfd, op, fd, event);
	return rc;
}
