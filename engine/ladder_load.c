/* SPDX-License-Identifier: MIT */
/* Loads the steering program in a thread of its own: the kernel takes long to check it. */

/*
 * Theory. The check costs 40 ms of processor, on a loaded machine most of a second, in which an engine would serve
 * nobody. It falls due when the first sibling comes, so in the midst of a restart under load. So an engine process that
 * is in its loop starts a thread, which touches nothing but the struct here, and hears of its end by an eventfd in the
 * set of links; the sibling's listen() waits for that too (group_settle.c). One that waits for others serves nobody
 * meanwhile, and loads at once; so does a thread of the app's, which must not start more of them.
 * The thread keeps the privileges that the engine had when it began, and uses them for nothing else.
 */
#include "ladder.h"

#ifdef QS_HAVE_STEER
#include "ladder_load.h"

#include "bpf/loader.h"
#include "endpoint.h"
#include "group.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define STACK_OCTETS (512u * 1024u)

struct qs_ladder_load {
	struct qs_endpoint *endpoint; /* [E] */
	struct qs_source done; /* [I] rung by the thread */
	pthread_t thread; /* [E] */
	struct qs_addr address; /* [I] */
	uint16_t host; /* [I] */
	struct qs_steer *steer; /* of the thread until it has ended */
	int rv; /* likewise */
};

/* What is pinned for this address, or a program of our own. */
static int find(const struct qs_addr *address, uint16_t host, struct qs_steer **out)
{
	/* libbpf keeps its printer, which the loader sets and puts back, for the whole process. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char dir[QS_STEER_PATH_MAX];
	int rv;

	qs_steer_path(address->family, address->ip, address->port, dir);
	pthread_mutex_lock(&lock);
	rv = qs_steer_open(out, dir, false);
	if (rv == 0 && qs_steer_host(*out) != host) {
		qs_steer_free(*out);
		*out = NULL;
		rv = -EPROTO;
	}
	/* What a stranger has put there in the administrator's place counts as nothing. */
	if (rv == -ENOENT || rv == -ENOTDIR || rv == -EPERM)
		rv = qs_steer_load(out, host);
	pthread_mutex_unlock(&lock);
	return rv;
}

static void *load_main(void *arg)
{
	struct qs_ladder_load *load = arg;
	uint64_t once = 1;

	prctl(PR_SET_NAME, "quicshim/load");
	load->rv = find(&load->address, load->host, &load->steer);
	while (write(load->done.fd, &once, sizeof(once)) < 0 && errno == EINTR)
		;
	return NULL;
}

/* Waits for the thread, and frees all but what it has loaded. */
static int load_end(struct qs_ladder_load *load, struct qs_steer **out)
{
	int rv;

	pthread_join(load->thread, NULL);
	*out = load->steer;
	rv = load->rv;
	qs_group_watch(load->endpoint->engine, EPOLL_CTL_DEL, &load->done, 0);
	close(load->done.fd);
	load->endpoint->ladder.load = NULL;
	free(load);
	return rv;
}

static void load_done(struct qs_source *source, uint32_t events)
{
	struct qs_ladder_load *load = qs_container(source, struct qs_ladder_load, done);
	struct qs_endpoint *endpoint = load->endpoint;
	struct qs_steer *steer;
	int rv = load_end(load, &steer);

	(void)events;
	qs_ladder_loaded(endpoint, rv, steer);
}

static int start(struct qs_ladder_load *load)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int rv = qs_group_watch(load->endpoint->engine, EPOLL_CTL_ADD, &load->done, EPOLLIN);

	if (rv < 0)
		return rv;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_OCTETS);
	rv = -pthread_create(&load->thread, &attr, load_main, load);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rv;
}

static bool begin_apart(struct qs_endpoint *endpoint)
{
	struct qs_ladder_load *load = calloc(1, sizeof(*load));

	if (load == NULL)
		return false;
	load->endpoint = endpoint;
	load->address = endpoint->address;
	load->host = endpoint->codec.host;
	load->done =
		(struct qs_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = load_done};
	if (load->done.fd >= 0 && start(load) == 0) {
		endpoint->ladder.load = load;
		return true;
	}
	if (load->done.fd >= 0)
		close(load->done.fd);
	free(load);
	return false;
}

void qs_ladder_load_begin(struct qs_endpoint *endpoint)
{
	const struct qs_engine *engine = endpoint->engine;
	struct qs_steer *steer = NULL;
	int rv;

	if (!engine->thread && !engine->alone && !engine->group_waits && begin_apart(endpoint))
		return;
	rv = find(&endpoint->address, endpoint->codec.host, &steer);
	qs_ladder_loaded(endpoint, rv, steer);
}

void qs_ladder_load_stop(struct qs_endpoint *endpoint)
{
	struct qs_steer *steer;

	if (endpoint->ladder.load == NULL)
		return;
	load_end(endpoint->ladder.load, &steer);
	qs_steer_free(steer);
}
#endif
