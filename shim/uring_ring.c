/* SPDX-License-Identifier: MIT */
/* Rings that are set up by number: where their requests lie. */
#include "uring.h"

#include "raw.h"
#include "state.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Theory. Who sets rings up by syscall(2) (language run-times do) has a memory that is not known to us: it is mapped
 * for the moment of each io_uring_enter. To keep it mapped would keep the ring alive after the app has closed it.
 * Where the app brings the memory (IORING_SETUP_NO_MMAP) its address is kept instead. The table knows RINGS rings by
 * their descriptor; an entry that is wrong by now fails to be mapped, and makes room. For more there is no memory
 * (ENOMEM): what a ring submits unseen would go out in the clear. A ring of such memory may have no
 * descriptor, but a number that stands for it in one thread (IORING_SETUP_REGISTERED_FD_ONLY). Other rings get no
 * number, as before Linux 5.18 (EINVAL): the app might close the descriptor, and nothing could be mapped.
 *
 * IORING_SETUP_SQPOLL: a thread of the kernel's takes requests as they are written, and nobody could look at them. So
 * the kernel is not told of that flag, while the app is, and the ring says for ever that the thread sleeps and must be
 * woken (IORING_SQ_NEED_WAKEUP, a bit that the kernel leaves alone in other rings). So each submission is a call,
 * which submits what there is. It costs the app that call; a refusal (EPERM) might cost it its start.
 */

#define RINGS 1024u
#define NUMBERS 16u /* IO_RINGFD_REG_MAX */
/* Newer than some <linux/io_uring.h>. */
#define SETUP_NO_MMAP (1u << 14)
#define SETUP_REGISTERED_FD_ONLY (1u << 15)
#define SETUP_NO_SQARRAY (1u << 16)
#define ENTER_REGISTERED_RING (1u << 4)
#define REGISTER_USE_REGISTERED_RING (1u << 31)
/* The others mean nothing without a polling thread, or are refused. */
#define POLLED (IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF | IORING_SETUP_SINGLE_ISSUER)

struct ring {
	atomic_int owner; /* descriptor + 1, or below -1; 0 = free, -1 = being written */
	uint32_t entries, flags;
	bool polled; /* as far as the app knows */
	struct io_sqring_offsets off;
	char *base; /* of the app's memory; NULL = to be mapped */
	struct io_uring_sqe *sqes;
};
static struct ring rings[RINGS];
static atomic_uint n_used; /* of rings[]; may count on */

/* The owners that this thread's numbers stand for. */
static _Thread_local int numbered[NUMBERS];

static unsigned count_used(void)
{
	unsigned n = atomic_load_explicit(&n_used, memory_order_acquire);

	return n < RINGS ? n : RINGS;
}

static struct ring *find(int owner)
{
	unsigned n = owner != 0 ? count_used() : 0;

	for (unsigned i = 0; i < n; i++)
		if (atomic_load_explicit(&rings[i].owner, memory_order_acquire) == owner)
			return &rings[i];
	return NULL;
}

/* --- what the ring's memory is --- */

struct view {
	char *base;
	struct io_uring_sqe *sqes;
	size_t base_bytes, sqe_bytes;
};

static void *map(int fd, size_t bytes, uint64_t offset)
{
	long at = qs_raw6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  (long)offset);

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

/* The app may have given its memory back with the ring, whose number another file has now. A filter may punish the
 * question. */
static bool is_mapped(const void *at, size_t bytes)
{
	uintptr_t begin = (uintptr_t)at & ~(uintptr_t)4095;

	return atomic_load_explicit(&qs_state.filtered, memory_order_relaxed) ||
	       qs_raw(SYS_msync, begin, (uintptr_t)at + bytes - begin, MS_ASYNC, 0) == 0;
}

static void view_close(const struct ring *ring, struct view *view)
{
	if (ring->base)
		return;
	if (view->sqes)
		qs_raw(SYS_munmap, view->sqes, view->sqe_bytes, 0, 0);
	if (view->base)
		qs_raw(SYS_munmap, view->base, view->base_bytes, 0, 0);
}

static bool view_open(const struct ring *ring, int fd, struct view *view)
{
	const struct io_sqring_offsets *off = &ring->off;
	uint32_t last = off->head > off->tail ? off->head : off->tail;

	last = off->flags > last ? off->flags : last;
	view->base_bytes = last + sizeof(unsigned);
	if (!(ring->flags & SETUP_NO_SQARRAY))
		view->base_bytes = off->array + (size_t)ring->entries * sizeof(unsigned);
	view->sqe_bytes = (size_t)ring->entries * sizeof(struct io_uring_sqe)
			  << (ring->flags & IORING_SETUP_SQE128 ? 1 : 0);
	if (ring->base) {
		view->base = ring->base;
		view->sqes = ring->sqes;
		return is_mapped(view->base, view->base_bytes) &&
		       is_mapped(view->sqes, view->sqe_bytes);
	}
	view->base = map(fd, view->base_bytes, IORING_OFF_SQ_RING);
	view->sqes = view->base ? map(fd, view->sqe_bytes, IORING_OFF_SQES) : NULL;
	if (!view->sqes)
		view_close(ring, view);
	return view->sqes != NULL;
}

static unsigned *word_at(const struct view *view, uint32_t offset)
{
	return (unsigned *)(void *)(view->base + offset);
}

/* --- set up --- */

/* The last member of struct io_sqring_offsets and of io_cqring_offsets: user_addr, or resv2 in older headers. */
static uint64_t user_addr(const void *offsets)
{
	_Static_assert(sizeof(struct io_sqring_offsets) == 40 &&
			       sizeof(struct io_cqring_offsets) == 40,
		       "the kernel's ABI");
	uint64_t addr;

	memcpy(&addr, (const char *)offsets + 32, sizeof(addr));
	return addr;
}

void qs_uring_before_setup(struct qs_uring_setup *setup, struct io_uring_params *params)
{
	setup->taken = 0;
	setup->base = params->flags & SETUP_NO_MMAP ? user_addr(&params->cq_off) : 0;
	setup->sqes = params->flags & SETUP_NO_MMAP ? user_addr(&params->sq_off) : 0;
	if (params->flags & IORING_SETUP_SQPOLL)
		setup->taken = params->flags & POLLED;
	params->flags &= ~setup->taken;
}

/* The one that had the descriptor before, a new one, or one whose ring is no more. NULL: there is none. */
static struct ring *take(int owner)
{
	struct ring *ring = find(owner);

	if (!ring && count_used() < RINGS) {
		unsigned i = atomic_fetch_add(&n_used, 1);

		ring = i < RINGS ? &rings[i] : NULL;
	}
	if (ring) {
		atomic_store(&ring->owner, -1);
		return ring;
	}
	for (unsigned i = 0; i < RINGS; i++) {
		int was = atomic_load_explicit(&rings[i].owner, memory_order_acquire);
		struct view view;

		if (was == 0 || was == -1 || !view_open(&rings[i], was - 1, &view)) {
			if (was != -1 && atomic_compare_exchange_strong(&rings[i].owner, &was, -1))
				return &rings[i];
			continue;
		}
		view_close(&rings[i], &view);
	}
	return NULL;
}

static void ask_to_be_woken(const struct ring *ring, int fd)
{
	struct view view;

	if (!view_open(ring, fd, &view))
		return;
	__atomic_or_fetch(word_at(&view, ring->off.flags), IORING_SQ_NEED_WAKEUP, __ATOMIC_RELEASE);
	view_close(ring, &view);
}

bool qs_uring_after_setup(const struct qs_uring_setup *setup, int fd,
			  struct io_uring_params *params)
{
	static atomic_int nameless = -2;
	bool number = params->flags & SETUP_REGISTERED_FD_ONLY;
	struct ring *ring;
	int owner;

	params->flags |= setup->taken;
	if (fd < 0)
		return true;
	qs_uring_seen();
	owner = number ? atomic_fetch_sub(&nameless, 1) : fd + 1;
	ring = take(owner);
	if (!ring) {
		qs_uring_count(QS_RING_REFUSED);
		return false;
	}
	ring->entries = params->sq_entries;
	ring->flags = params->flags;
	ring->polled = setup->taken != 0;
	ring->off = params->sq_off;
	ring->base = (char *)(uintptr_t)setup->base;
	ring->sqes = (struct io_uring_sqe *)(uintptr_t)setup->sqes;
	if (ring->polled)
		ask_to_be_woken(ring, fd);
	atomic_store_explicit(&ring->owner, owner, memory_order_release);
	if (number && (unsigned)fd < NUMBERS)
		numbered[fd] = owner;
	return true;
}

bool qs_uring_may_register(unsigned op, const void *argument, unsigned n)
{
	const struct io_uring_rsrc_update *update = argument;

	op &= ~REGISTER_USE_REGISTERED_RING;
	if (op == IORING_REGISTER_RING_FDS) {
		qs_uring_count(QS_RING_REFUSED);
		return false;
	}
	for (unsigned i = 0; op == IORING_UNREGISTER_RING_FDS && i < n; i++)
		if (update[i].offset < NUMBERS)
			numbered[update[i].offset] = 0;
	return true;
}

/* --- submissions --- */

/* How many requests wait. Looks at `most` of them. */
static unsigned judge(const struct ring *ring, const struct view *view, unsigned most)
{
	unsigned head = __atomic_load_n(word_at(view, ring->off.head), __ATOMIC_ACQUIRE);
	unsigned tail = __atomic_load_n(word_at(view, ring->off.tail), __ATOMIC_ACQUIRE);
	unsigned shift = ring->flags & IORING_SETUP_SQE128 ? 1 : 0, n;

	for (n = 0; head + n != tail && n < most && n < ring->entries; n++) {
		unsigned index = (head + n) & (ring->entries - 1);

		if (!(ring->flags & SETUP_NO_SQARRAY))
			index = word_at(view, ring->off.array)[index];
		if (index < ring->entries)
			qs_uring_judge(&view->sqes[(size_t)index << shift]);
	}
	return n;
}

unsigned qs_uring_before_enter(int fd, unsigned to_submit, unsigned flags)
{
	bool number = flags & ENTER_REGISTERED_RING;
	int owner = !number ? fd + 1 : (unsigned)fd < NUMBERS ? numbered[fd] : 0;
	const struct ring *known = find(owner);
	struct ring ring;
	struct view view;
	unsigned n;

	if (!known)
		return to_submit;
	ring = *known;
	if ((!to_submit && !ring.polled) || !view_open(&ring, owner - 1, &view))
		return to_submit;
	n = judge(&ring, &view, ring.polled ? UINT32_MAX : to_submit);
	view_close(&ring, &view);
	return ring.polled ? n : to_submit;
}
