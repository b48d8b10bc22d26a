/* SPDX-License-Identifier: MIT */
/* The way into io_uring by liburing's functions. */
#include "real.h"
#include "state.h"
#include "uring.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <time.h>

/*
 * Theory. liburing enters the kernel by instructions of its own, so its functions that submit are
 * interposed: what the app has prepared lies between sqe_head and sqe_tail of its struct io_uring,
 * whose layout is liburing's ABI. Those that stand for the bare system calls are as these (uring_ring.c).
 *
 * A process that has no policy pays one branch, as everywhere.
 */

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
typedef int register_fn(unsigned, unsigned, const void *, unsigned);

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
QS_EXPORT register_fn io_uring_register;

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
	struct qs_uring_setup setup;
	int fd;

	REAL("io_uring_setup", setup_fn);
	if (!qs_watching())
		return call(entries, params);
	qs_uring_before_setup(&setup, params);
	fd = call(entries, params);
	qs_uring_after_setup(&setup, fd, params);
	return fd;
}

/* A polled ring's call says that it has submitted what it was asked to. */
static int entered(int rc, unsigned to_submit, unsigned made)
{
	return rc >= 0 && made != to_submit ? (int)to_submit : rc;
}

int io_uring_enter(unsigned fd, unsigned to_submit, unsigned want, unsigned flags, void *sigset)
{
	unsigned n = to_submit;

	REAL("io_uring_enter", enter_fn);
	if (qs_watching())
		n = qs_uring_before_enter((int)fd, to_submit, flags);
	return entered(call(fd, n, want, flags, sigset), to_submit, n);
}

int io_uring_enter2(unsigned fd, unsigned to_submit, unsigned want, unsigned flags, void *sigset,
		    size_t size)
{
	unsigned n = to_submit;

	REAL("io_uring_enter2", enter2_fn);
	if (qs_watching())
		n = qs_uring_before_enter((int)fd, to_submit, flags);
	return entered(call(fd, n, want, flags, sigset, size), to_submit, n);
}

int io_uring_register(unsigned fd, unsigned op, const void *argument, unsigned n)
{
	REAL("io_uring_register", register_fn);

	if (qs_watching() && !qs_uring_may_register(op, argument, n))
		return -EINVAL;
	return call(fd, op, argument, n);
}
