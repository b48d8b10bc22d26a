/* SPDX-License-Identifier: MIT */
/* Maps and reads the engine's status and option pages. */
#include "pages.h"

#include "ask.h"
#include "raw.h"
#include "state.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/*
 * Theory. An engine ends when it is idle and another one takes its identity later: old sockets then
 * name slots in a page of an engine that is gone, new ones in a new page. So up to PAGES_MAX pages
 * stay mapped, told apart by the memfd's inode, and a slot is looked for where the generation fits,
 * newest page first. They are fetched when an engine answers for the first time: once it has died
 * nobody gives them out, and an end that was not the peer's could not be told from one that was.
 * When the table is full the oldest mapping is replaced in place (MAP_FIXED), so that a reader in
 * another thread never sees a hole. Mappings are inherited by fork. No lock: two threads that ask at
 * once map the same page twice, which costs address space only.
 */

#define PAGES_MAX 8u
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define FETCH_PAUSE_NS 1000000000ull /* after asking in vain */

struct mapping {
	_Atomic(const struct qs_page *) status;
	_Atomic(struct qs_options *) options;
	_Atomic uint64_t inode;
};

/* The same while it is made. */
struct pair {
	union {
		const struct qs_page *in;
		void *out;
	} status;
	struct qs_options *options;
};

static struct mapping table[PAGES_MAX];
static atomic_uint n_mapped; /* ever; the index is modulo PAGES_MAX */
static _Atomic uint64_t last_fetch_ns;
static atomic_int mapped_of = -1; /* qs_ask_engine when pages were mapped */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *map(void *at, int fd, size_t bytes, int prot)
{
	long where = qs_raw6(SYS_mmap, (long)at, (long)bytes, prot,
			     MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);

	return where < 0 && where > -4096 ? NULL : (void *)where;
}

static bool is_known(uint64_t inode)
{
	for (unsigned i = 0; i < PAGES_MAX; i++)
		if (atomic_load_explicit(&table[i].inode, memory_order_acquire) == inode)
			return true;
	return false;
}

/* Both pages, or none. `at` is where they were before, or all NULL. */
static int map_both(struct pair *at, int status_fd, int options_fd)
{
	struct pair got = {.status.out = map(at->status.out, status_fd, QS_PAGE_BYTES, PROT_READ)};

	if (got.status.out)
		got.options =
			map(at->options, options_fd, QS_OPTION_PAGE_BYTES, PROT_READ | PROT_WRITE);
	if (!got.options) {
		if (got.status.out && !at->status.out)
			qs_raw(SYS_munmap, got.status.out, QS_PAGE_BYTES, 0, 0);
		return -ENOMEM;
	}
	*at = got;
	return 0;
}

static void unmap_both(const struct pair *pair)
{
	qs_raw(SYS_munmap, pair->status.out, QS_PAGE_BYTES, 0, 0);
	qs_raw(SYS_munmap, pair->options, QS_OPTION_PAGE_BYTES, 0, 0);
}

/* The oldest entry's mapping gives way to the new one, at its place. */
static int publish(struct pair *fresh, uint64_t inode, int status_fd, int options_fd)
{
	struct mapping *entry = &table[atomic_fetch_add(&n_mapped, 1) % PAGES_MAX];
	struct pair old = {.status.in = entry->status, .options = entry->options};

	if (old.status.in) {
		int rc = map_both(&old, status_fd, options_fd);

		unmap_both(fresh);
		if (rc < 0)
			return rc;
		*fresh = old;
	}
	atomic_store_explicit(&entry->options, fresh->options, memory_order_release);
	atomic_store_explicit(&entry->status, fresh->status.in, memory_order_release);
	atomic_store_explicit(&entry->inode, inode, memory_order_release);
	return 0;
}

int qs_pages_adopt(int status_fd, int options_fd)
{
	struct stat status_st, options_st;
	struct pair fresh = {0};
	int engine = atomic_load_explicit(&qs_ask_engine, memory_order_relaxed), rc = -EPROTO;

	if (fstat(status_fd, &status_st) < 0 || fstat(options_fd, &options_st) < 0 ||
	    status_st.st_size < (off_t)QS_PAGE_BYTES ||
	    options_st.st_size < (off_t)QS_OPTION_PAGE_BYTES)
		goto out;
	rc = 0;
	if (is_known(status_st.st_ino))
		goto out;
	rc = map_both(&fresh, status_fd, options_fd);
	if (rc < 0)
		goto out;
	if (fresh.status.in->magic != QS_PAGE_MAGIC ||
	    fresh.status.in->version != QS_PROTOCOL_VERSION) {
		unmap_both(&fresh);
		rc = -EPROTO;
		goto out;
	}
	rc = publish(&fresh, status_st.st_ino, status_fd, options_fd);
out:
	if (rc == 0)
		atomic_store_explicit(&mapped_of, engine, memory_order_relaxed);
	qs_sys_close(status_fd);
	qs_sys_close(options_fd);
	return rc;
}

/* 0 or -errno: -ECONNREFUSED if there is no engine. */
static int fetch(void)
{
	struct qs_control_req req = {.op = QS_OP_PAGES};
	struct qs_control_reply reply;
	int fds[2], rc = qs_ask(&req, -1, &reply, fds, 2, false);

	return rc == 2 ? qs_pages_adopt(fds[0], fds[1]) : rc < 0 ? rc : 0;
}

int qs_pages_engine(void)
{
	return atomic_load_explicit(&mapped_of, memory_order_relaxed);
}

int qs_pages_prepare(void)
{
	int rc;

	if (atomic_load_explicit(&mapped_of, memory_order_relaxed) ==
		    atomic_load_explicit(&qs_ask_engine, memory_order_relaxed) ||
	    !qs_may_look())
		return 0;
	rc = fetch();
	return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE ? rc : 0;
}

/* Copies one slot of one page if it belongs to the mark. */
static bool read_slot(const struct qs_page *page, const struct qs_mark *mark,
		      struct qs_slot_view *out)
{
	const struct qs_slot *slot = &page->slots[mark->slot];

	if (mark->slot >= QS_SLOTS_MAX || mark->slot >= page->n_slots)
		return false;
	for (unsigned tries = 0; tries < 10000; tries++) {
		uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
		bool fits = slot->generation == mark->generation;

		if (seq & 1)
			continue;
		if (fits && out) {
			out->state = slot->state;
			out->server = slot->server;
			out->fin_given = slot->fin_given;
			out->held = slot->held;
			out->error = slot->error;
			out->path = slot->path;
			out->local = slot->local;
			out->peer = slot->peer;
			out->sent_bytes = slot->sent_bytes;
			out->acked_bytes = slot->acked_bytes;
			out->received_bytes = slot->received_bytes;
			memcpy(out->reason, slot->reason, sizeof(out->reason));
			out->reason[sizeof(out->reason) - 1] = '\0';
		}
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->seq, memory_order_relaxed) == seq)
			return fits;
	}
	return false;
}

static struct mapping *find_mapped(const struct qs_mark *mark, struct qs_slot_view *out)
{
	unsigned newest = atomic_load_explicit(&n_mapped, memory_order_acquire);

	for (unsigned i = 0; i < PAGES_MAX && i < newest; i++) {
		struct mapping *entry = &table[(newest - 1 - i) % PAGES_MAX];
		const struct qs_page *page =
			atomic_load_explicit(&entry->status, memory_order_acquire);

		if (page && read_slot(page, mark, out))
			return entry;
	}
	return NULL;
}

static struct mapping *find(const struct qs_mark *mark, struct qs_slot_view *out)
{
	struct mapping *entry;
	uint64_t now, last;
	int rc;

	if (!mark->generation)
		return NULL;
	entry = find_mapped(mark, out);
	if (entry || !qs_may_look() || !qs_state.has_identity)
		return entry;
	now = now_ns();
	last = atomic_load_explicit(&last_fetch_ns, memory_order_relaxed);
	if (last && now - last < FETCH_PAUSE_NS)
		return NULL;
	rc = fetch();
	entry = find_mapped(mark, out);
	if (!entry && rc != -ECONNREFUSED) /* that is soon said, and an engine may start now */
		atomic_store_explicit(&last_fetch_ns, now, memory_order_relaxed);
	return entry;
}

bool qs_pages_slot(const struct qs_mark *mark, struct qs_slot_view *out)
{
	return find(mark, out) != NULL;
}

/* The other end's name is that of this process's engine, and the engine would be in this network. */
static bool is_of_our_engine(int fd)
{
	struct sockaddr_un name;
	uint64_t id, theirs = 0, ours = 0;
	socklen_t len = sizeof(name), cookie_len = sizeof(theirs);
	int here;

	if (qs_sys_getpeername(fd, &name, &len) < 0 || qs_control_address_id(&name, len, &id) < 0 ||
	    id != qs_state.identity.id)
		return false;
	here = qs_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (here < 0)
		return false;
	qs_sys_getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &theirs, &cookie_len);
	qs_sys_getsockopt(here, SOL_SOCKET, SO_NETNS_COOKIE, &ours, &cookie_len);
	qs_sys_close(here);
	return theirs == ours;
}

bool qs_pages_lost(int fd, const struct qs_mark *mark)
{
	return mark->generation && qs_may_look() && qs_state.has_identity &&
	       !find_mapped(mark, NULL) && is_of_our_engine(fd) && fetch() == -ECONNREFUSED;
}

struct qs_options *qs_pages_options(const struct qs_mark *mark)
{
	struct mapping *entry = find(mark, NULL);
	struct qs_options *options = entry ? entry->options : NULL;

	if (!options || options[mark->slot].generation != mark->generation)
		return NULL;
	return &options[mark->slot];
}

bool qs_pages_take_error(const struct qs_mark *mark)
{
	struct qs_options *options = qs_pages_options(mark);

	return !options || !__atomic_exchange_n(&options->told, 1, __ATOMIC_ACQ_REL);
}

bool qs_pages_figures(const struct qs_mark *mark, uint32_t path, struct qs_path_figures *out)
{
	struct mapping *entry = find(mark, NULL);
	const struct qs_page *page = entry ? entry->status : NULL;

	if (!page || path >= QS_PATHS_MAX)
		return false;
	memcpy(out, &page->paths[path], sizeof(*out));
	return true;
}
