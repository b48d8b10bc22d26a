/* SPDX-License-Identifier: MIT */
/* The ways into io_uring: liburing's functions, and syscall(2). */
#include "raw.h"
#include "real.h"
#include "state.h"
#include "uring.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/*
 * Theory. liburing enters the kernel by instructions of its own, so its functions that submit are
 * interposed: what the app has prepared lies between sqe_head and sqe_tail of its struct io_uring,
 * whose layout is liburing's ABI. Who sets rings up by syscall(2) (language run-times do) has a
 * memory that is not known to us: it is mapped for the moment of each io_uring_enter. To keep it
 * mapped would keep the ring alive after the app has closed it. The table knows the offsets of the
 * last RINGS rings by their descriptor; an entry that is wrong by now fails to be mapped.
 *
 * A process that has no policy pays one branch, as everywhere.
 */

#define RINGS 32u
#define SETUP_NO_MMAP (1u << 14)
#define SETUP_NO_SQARRAY (1u << 16)
#define ENTER_REGISTERED_RING (1u << 4)

/* --- by number --- */

static struct ring {
	atomic_int owner; /* descriptor + 1; 0 = free, -1 = being written */
	uint32_t entries, flags;
	struct io_sqring_offsets off;
} rings[RINGS];
static atomic_uint next_ring;

void qs_uring_after_setup(int fd, const struct io_uring_params *params)
{
	struct ring *ring = NULL;

	qs_uring_seen();
	if (params->flags & SETUP_NO_MMAP)
		return;
	for (unsigned i = 0; i < RINGS && !ring; i++)
		if (atomic_load(&rings[i].owner) == fd + 1)
			ring = &rings[i];
	if (!ring)
		ring = &rings[atomic_fetch_add(&next_ring, 1) % RINGS];
	atomic_store(&ring->owner, -1);
	ring->entries = params->sq_entries;
	ring->flags = params->flags;
	ring->off = params->sq_off;
	atomic_store_explicit(&ring->owner, fd + 1, memory_order_release);
}

static void *map_ring(int fd, size_t bytes, uint64_t offset)
{
	long at = qs_raw6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  (long)offset);

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

static unsigned *at_offset(void *base, uint32_t offset)
{
	return (unsigned *)(void *)((char *)base + offset);
}

static void judge_range(const struct ring *ring, void *base, struct io_uring_sqe *sqes,
			unsigned to_submit)
{
	unsigned head = __atomic_load_n(at_offset(base, ring->off.head), __ATOMIC_ACQUIRE);
	unsigned tail = __atomic_load_n(at_offset(base, ring->off.tail), __ATOMIC_ACQUIRE);
	unsigned shift = ring->flags & IORING_SETUP_SQE128 ? 1 : 0;

	for (unsigned n = 0; head + n != tail && n < to_submit && n < ring->entries; n++) {
		unsigned index = (head + n) & (ring->entries - 1);

		if (!(ring->flags & SETUP_NO_SQARRAY))
			index = at_offset(base, ring->off.array)[index];
		if (index < ring->entries)
			qs_uring_judge(&sqes[(size_t)index << shift]);
	}
}

void qs_uring_before_enter(int fd, unsigned to_submit, unsigned flags)
{
	struct ring ring = {0};
	size_t base_bytes, sqe_bytes;
	void *base, *sqes;

	if (!to_submit || (flags & ENTER_REGISTERED_RING))
		return;
	for (unsigned i = 0; i < RINGS && !ring.entries; i++) {
		if (atomic_load_explicit(&rings[i].owner, memory_order_acquire) != fd + 1)
			continue;
		ring.entries = rings[i].entries;
		ring.flags = rings[i].flags;
		ring.off = rings[i].off;
	}
	if (!ring.entries)
		return;
	base_bytes = (ring.off.head > ring.off.tail ? ring.off.head : ring.off.tail) + 4;
	if (!(ring.flags & SETUP_NO_SQARRAY))
		base_bytes = ring.off.array + (size_t)ring.entries * sizeof(unsigned);
	sqe_bytes = (size_t)ring.entries * sizeof(struct io_uring_sqe)
		    << (ring.flags & IORING_SETUP_SQE128 ? 1 : 0);
	base = map_ring(fd, base_bytes, IORING_OFF_SQ_RING);
	sqes = base ? map_ring(fd, sqe_bytes, IORING_OFF_SQES) : NULL;
	if (sqes) {
		judge_range(&ring, base, sqes, to_submit);
		qs_raw(SYS_munmap, sqes, sqe_bytes, 0, 0);
	}
	if (base)
		qs_raw(SYS_munmap, base, base_bytes, 0, 0);
}

/* --- liburing --- */

/* The head of its struct io_uring, as it has been since 2.0. */
struct uring {
	struct {
		unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *kdropped, *array;
		struct io_uring_sqe *sqes;
		unsigned sqe_head, sqe_tail;
		size_t ring_sz;
		void *ring_ptr;
		unsigned ring_mask, ring_entries, pad[2];
	} sq;
	struct {
		unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *koverflow;
		struct io_uring_cqe *cqes;
		size_t ring_sz;
		void *ring_ptr;
		unsigned ring_mask, ring_entries, pad[2];
	} cq;
	unsigned flags;
};
_Static_assert(offsetof(struct uring, flags) == 13 * sizeof(void *) + 11 * sizeof(void *),
	       "liburing's ABI");

static void judge_prepared(struct uring *ring)
{
	unsigned mask, shift = ring->flags & IORING_SETUP_SQE128 ? 1 : 0;

	if (!qs_watching() || !ring->sq.kring_mask)
		return;
	mask = *ring->sq.kring_mask;
	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
		qs_uring_judge(&ring->sq.sqes[(size_t)(i & mask) << shift]);
}

/*
 * liburing's own function: behind us in the search order, or, where it came later by dlopen(), in
 * the scope of who calls.
 */
static void *behind(const char *name, const void *caller)
{
	void *found = dlsym(RTLD_NEXT, name), *handle;
	Dl_info info;

	if (found || !dladdr(caller, &info) || !info.dli_fname)
		return found;
	handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	if (!handle)
		return NULL;
	found = dlsym(handle, name);
	dlclose(handle);
	return found;
}

#define REAL(name, type)                                                                           \
	static _Atomic(void *) real;                                                               \
	type *call;                                                                                \
	void *found = atomic_load_explicit(&real, memory_order_relaxed);                           \
	if (!found) {                                                                              \
		found = behind(name, __builtin_return_address(0));                                 \
		atomic_store_explicit(&real, found, memory_order_relaxed);                         \
	}                                                                                          \
	if (!found)                                                                                \
		return -ENOSYS;                                                                    \
	memcpy(&call, &found, sizeof(call))

typedef int ring_fn(struct uring *);
typedef int ring_number_fn(struct uring *, unsigned);
typedef int ring_wait_fn(struct uring *, struct io_uring_cqe **, unsigned, void *, void *);
typedef int ring_min_wait_fn(struct uring *, struct io_uring_cqe **, unsigned, void *, unsigned,
			     void *);
typedef int ring_reg_wait_fn(struct uring *, struct io_uring_cqe **, unsigned, int);
typedef int ring_timeout_fn(struct uring *, struct io_uring_cqe **, void *);
typedef int queue_init_fn(unsigned, struct uring *, unsigned);
typedef int queue_init_params_fn(unsigned, struct uring *, struct io_uring_params *);
typedef int queue_init_mem_fn(unsigned, struct uring *, struct io_uring_params *, void *, size_t);
typedef int setup_fn(unsigned, struct io_uring_params *);
typedef int enter_fn(unsigned, unsigned, unsigned, unsigned, void *);
typedef int enter2_fn(unsigned, unsigned, unsigned, unsigned, void *, size_t);

QS_EXPORT ring_fn io_uring_submit, io_uring_submit_and_get_events;
QS_EXPORT ring_number_fn io_uring_submit_and_wait;
QS_EXPORT ring_wait_fn io_uring_submit_and_wait_timeout, io_uring_wait_cqes;
QS_EXPORT ring_min_wait_fn io_uring_submit_and_wait_min_timeout;
QS_EXPORT ring_reg_wait_fn io_uring_submit_and_wait_reg;
QS_EXPORT ring_timeout_fn io_uring_wait_cqe_timeout;
QS_EXPORT queue_init_fn io_uring_queue_init;
QS_EXPORT queue_init_params_fn io_uring_queue_init_params;
QS_EXPORT queue_init_mem_fn io_uring_queue_init_mem;
QS_EXPORT setup_fn io_uring_setup;
QS_EXPORT enter_fn io_uring_enter;
QS_EXPORT enter2_fn io_uring_enter2;

int io_uring_submit(struct uring *ring)
{
	REAL("io_uring_submit", ring_fn);

	judge_prepared(ring);
	return call(ring);
}

int io_uring_submit_and_get_events(struct uring *ring)
{
	REAL("io_uring_submit_and_get_events", ring_fn);

	judge_prepared(ring);
	return call(ring);
}

int io_uring_submit_and_wait(struct uring *ring, unsigned n)
{
	REAL("io_uring_submit_and_wait", ring_number_fn);

	judge_prepared(ring);
	return call(ring, n);
}

int io_uring_submit_and_wait_timeout(struct uring *ring, struct io_uring_cqe **cqe, unsigned n,
				     void *timeout, void *mask)
{
	REAL("io_uring_submit_and_wait_timeout", ring_wait_fn);

	judge_prepared(ring);
	return call(ring, cqe, n, timeout, mask);
}

int io_uring_submit_and_wait_min_timeout(struct uring *ring, struct io_uring_cqe **cqe, unsigned n,
					 void *timeout, unsigned min_us, void *mask)
{
	REAL("io_uring_submit_and_wait_min_timeout", ring_min_wait_fn);

	judge_prepared(ring);
	return call(ring, cqe, n, timeout, min_us, mask);
}

int io_uring_submit_and_wait_reg(struct uring *ring, struct io_uring_cqe **cqe, unsigned n, int reg)
{
	REAL("io_uring_submit_and_wait_reg", ring_reg_wait_fn);

	judge_prepared(ring);
	return call(ring, cqe, n, reg);
}

int io_uring_wait_cqes(struct uring *ring, struct io_uring_cqe **cqe, unsigned n, void *timeout,
		       void *mask)
{
	REAL("io_uring_wait_cqes", ring_wait_fn);

	judge_prepared(ring);
	return call(ring, cqe, n, timeout, mask);
}

int io_uring_wait_cqe_timeout(struct uring *ring, struct io_uring_cqe **cqe, void *timeout)
{
	REAL("io_uring_wait_cqe_timeout", ring_timeout_fn);

	judge_prepared(ring);
	return call(ring, cqe, timeout);
}

/* One of liburing's functions may call the other. */
static _Thread_local bool nested;

static int noted(int rc, bool inner)
{
	if (rc >= 0 && !inner && qs_watching())
		qs_uring_seen();
	nested = inner;
	return rc;
}

int io_uring_queue_init(unsigned entries, struct uring *ring, unsigned flags)
{
	bool inner = nested;

	REAL("io_uring_queue_init", queue_init_fn);
	nested = true;
	return noted(call(entries, ring, flags), inner);
}

int io_uring_queue_init_params(unsigned entries, struct uring *ring, struct io_uring_params *params)
{
	bool inner = nested;

	REAL("io_uring_queue_init_params", queue_init_params_fn);
	nested = true;
	return noted(call(entries, ring, params), inner);
}

int io_uring_queue_init_mem(unsigned entries, struct uring *ring, struct io_uring_params *params,
			    void *memory, size_t bytes)
{
	bool inner = nested;

	REAL("io_uring_queue_init_mem", queue_init_mem_fn);
	nested = true;
	return noted(call(entries, ring, params, memory, bytes), inner);
}

int io_uring_setup(unsigned entries, struct io_uring_params *params)
{
	int fd;

	REAL("io_uring_setup", setup_fn);
	fd = call(entries, params);
	if (fd >= 0 && qs_watching())
		qs_uring_after_setup(fd, params);
	return fd;
}

int io_uring_enter(unsigned fd, unsigned to_submit, unsigned want, unsigned flags, void *sigset)
{
	REAL("io_uring_enter", enter_fn);

	if (qs_watching())
		qs_uring_before_enter((int)fd, to_submit, flags);
	return call(fd, to_submit, want, flags, sigset);
}

int io_uring_enter2(unsigned fd, unsigned to_submit, unsigned want, unsigned flags, void *sigset,
		    size_t size)
{
	REAL("io_uring_enter2", enter2_fn);

	if (qs_watching())
		qs_uring_before_enter((int)fd, to_submit, flags);
	return call(fd, to_submit, want, flags, sigset, size);
}
