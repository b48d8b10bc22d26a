/* SPDX-License-Identifier: MIT */
/* More threads for listeners: each worker is an engine of its own with a loop, UDP sockets and connections. */

/*
 * Theory. One loop fills one core. Where a [listen] section says `workers = N`, the engine, which is worker 0 then, has
 * N - 1 threads more. Each runs the same loop on a struct qs_engine of its own: nothing is shared but what can't change
 * (the policy), the descriptor table, and the pages, of which each has its part (pages.h). What an engine knows of its
 * connections never crosses a thread, so nothing in the loop locks.
 *
 * The workers' UDP sockets are members of one reuseport group, as those of different processes are, and what reaches the
 * wrong one is handed on in the same way. Requests of apps come to worker 0 alone: it takes connects itself. What others
 * must do too, such as to open a listener or to give up privileges, which the kernel keeps a thread, is an *order*: one at
 * a time, for which it waits, and meanwhile serves its links, since a worker that is new in a group asks it a thing or two. A worker finds out by itself when the app's listener is gone, as
 * worker 0 does (listen.c).
 *
 * Worker 0 lives as long as one of them is busy. Signals are blocked in the others: SIGTERM is worker 0's.
 * In thread placement there are no workers: a forked-out engine has one thread.
 */
#include "worker.h"

#include "group.h"
#include "listen.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

struct qs_worker {
	struct qs_engine engine; /* [E] of the worker's thread */
	pthread_t thread; /* [I] */
	struct qs_source bell; /* an eventfd that worker 0 rings */
	/* The order: handed over by the bell, given back by `answer`. */
	void (*order)(struct qs_engine *engine, const void *argument);
	const void *argument;
	struct qs_source answer; /* an eventfd in worker 0's set of links */
	bool answered; /* of worker 0's thread */
	atomic_bool busy; /* relaxed: only worker 0's patience depends on it */
	atomic_bool quit; /* relaxed, handed over by the bell */
};

static struct qs_worker *worker_of(struct qs_engine *engine)
{
	return qs_container(engine, struct qs_worker, engine);
}

/* Never full: nobody rings twice before he was heard. */
static void ring(const struct qs_source *bell)
{
	uint64_t once = 1;

	if (write(bell->fd, &once, sizeof(once)) < 0)
		qs_log("workers: %s", strerrorname_np(errno));
}

static void bell_rings(struct qs_source *source, uint32_t events)
{
	struct qs_worker *worker = qs_container(source, struct qs_worker, bell);
	uint64_t rings;

	(void)events;
	if (read(source->fd, &rings, sizeof(rings)) != (ssize_t)sizeof(rings) ||
	    worker->order == NULL)
		return;
	worker->order(&worker->engine, worker->argument);
	atomic_store_explicit(&worker->busy, true, memory_order_relaxed);
	worker->order = NULL;
	ring(&worker->answer);
}

static void answer_comes(struct qs_source *source, uint32_t events)
{
	struct qs_worker *worker = qs_container(source, struct qs_worker, answer);
	uint64_t rings;

	(void)events;
	if (read(source->fd, &rings, sizeof(rings)) == (ssize_t)sizeof(rings))
		worker->answered = true;
}

bool qs_worker_turn(struct qs_engine *engine, bool idle)
{
	struct qs_worker *worker = worker_of(engine);

	atomic_store_explicit(&worker->busy, !idle, memory_order_relaxed);
	return idle && atomic_load_explicit(&worker->quit, memory_order_relaxed);
}

static void *worker_main(void *arg)
{
	struct qs_worker *worker = arg;
	char name[16];

	snprintf(name, sizeof(name), "quicshim/%u", worker->engine.worker);
	prctl(PR_SET_NAME, name);
	prctl(PR_SET_TIMERSLACK, 1000); /* as in helper_main.c */
	qs_engine_run(&worker->engine);
	return NULL;
}

static int start_thread(struct qs_worker *worker)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int rv;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 512 * 1024);
	rv = -pthread_create(&worker->thread, &attr, worker_main, worker);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rv;
}

static int open_bells(struct qs_worker *worker, struct qs_engine *main)
{
	int rv;

	worker->bell =
		(struct qs_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = bell_rings};
	worker->answer = (struct qs_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					    .fn = answer_comes};
	if (worker->bell.fd < 0 || worker->answer.fd < 0)
		return -EMFILE;
	rv = qs_source_add(&worker->engine, &worker->bell, EPOLLIN);
	return rv < 0 ? rv : qs_group_watch(main, EPOLL_CTL_ADD, &worker->answer, EPOLLIN);
}

/* Its thread has ended or never began. */
static void worker_free(struct qs_worker *worker)
{
	qs_engine_fini(&worker->engine);
	if (worker->bell.fd >= 0)
		close(worker->bell.fd);
	if (worker->answer.fd >= 0)
		close(worker->answer.fd);
	free(worker);
}

static struct qs_worker *worker_new(struct qs_engine *main, unsigned index)
{
	struct qs_worker *worker = calloc(1, sizeof(*worker));
	int rv;

	if (worker == NULL)
		return NULL;
	worker->bell.fd = worker->answer.fd = -1;
	rv = qs_engine_init_worker(&worker->engine, main, index);
	if (rv == 0)
		rv = open_bells(worker, main);
	if (rv == 0)
		rv = start_thread(worker);
	if (rv == 0)
		return worker;
	qs_log("worker %u can't start: %s", index, strerrorname_np(-rv));
	worker_free(worker);
	return NULL;
}

static void give_order(struct qs_engine *main, struct qs_worker *worker,
		       void (*order)(struct qs_engine *, const void *), const void *argument)
{
	worker->order = order;
	worker->argument = argument;
	worker->answered = false;
	ring(&worker->bell);
	while (!worker->answered)
		qs_group_handle(main, -1);
}

void qs_workers_do(struct qs_engine *engine,
		   void (*order)(struct qs_engine *engine, const void *argument),
		   const void *argument)
{
	for (unsigned i = 0; i < QS_WORKERS_MAX - 1; i++)
		if (engine->workers[i] != NULL)
			give_order(engine, engine->workers[i], order, argument);
}

static void share(struct qs_engine *engine, const void *argument)
{
	const struct qs_listener *listener = argument;

	if (qs_listener_share(engine, listener) < 0)
		qs_log("worker %u does without the listener on port %u", engine->worker,
		       listener->address.port);
	else
		qs_will_prepare(engine, true);
}

void qs_workers_listen(struct qs_engine *engine, const struct qs_listener *listener)
{
	for (unsigned i = 1; i < listener->rule->workers && !engine->thread && !engine->alone;
	     i++) {
		struct qs_worker **worker = &engine->workers[i - 1];

		if (*worker == NULL)
			*worker = worker_new(engine, i);
		if (*worker == NULL)
			return;
		give_order(engine, *worker, share, listener);
	}
}

bool qs_workers_busy(const struct qs_engine *engine)
{
	for (unsigned i = 0; i < QS_WORKERS_MAX - 1; i++) {
		if (engine->workers[i] != NULL &&
		    atomic_load_explicit(&engine->workers[i]->busy, memory_order_relaxed))
			return true;
	}
	return false;
}

void qs_workers_end(struct qs_engine *engine)
{
	for (unsigned i = 0; i < QS_WORKERS_MAX - 1; i++) {
		struct qs_worker *worker = engine->workers[i];

		if (worker == NULL)
			continue;
		atomic_store_explicit(&worker->quit, true, memory_order_relaxed);
		ring(&worker->bell);
		pthread_join(worker->thread, NULL);
		worker_free(worker);
		engine->workers[i] = NULL;
	}
}
