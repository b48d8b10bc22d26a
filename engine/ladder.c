/* SPDX-License-Identifier: MIT */
/* How a datagram finds its member: by a program in the kernel, or by hash and hand-off. */
#include "ladder.h"

#include "endpoint.h"
#include "group.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MEND_NS (3 * QS_NSEC)

#ifdef QS_HAVE_STEER
#include "bpf/loader.h"
#include "ladder_load.h"

static bool is_wanted(const struct qs_endpoint *endpoint)
{
	return endpoint->steering == QS_STEERING_AUTO || endpoint->steering == QS_STEERING_EBPF;
}

/* A filter may kill for a system call that the app has no use for; in a thread it is the app's. */
static bool is_allowed(void)
{
	return prctl(PR_GET_SECCOMP) == 0;
}

static void claim(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	struct qs_steer_member want = {.slot = endpoint->member->slot,
				       .generation = endpoint->member->generation};
	int rv = qs_steer_claim_at(ladder->steer, endpoint->udp.fd, &want);

	if (rv < 0) {
		qs_log("UDP port %u: no slot in the steering program: %s", endpoint->udp.port,
		       strerrorname_np(-rv));
		qs_steer_free(ladder->steer);
		ladder->steer = NULL;
		return;
	}
	qs_log("UDP port %u: slot %u is steered", endpoint->udp.port, want.slot);
	qs_ladder_update(endpoint);
}

static bool is_twin(const struct qs_endpoint *endpoint, const struct qs_link *link)
{
	return link->known && link->bound_ns != 0 &&
	       qs_addr_equal(&link->peer.endpoint, &endpoint->address);
}

/* There is a program, or there is none. */
static void tell_one(struct qs_endpoint *endpoint, struct qs_link *link)
{
	struct qs_ladder *ladder = &endpoint->ladder;
	int fds[QS_LADDER_FDS];

	if (ladder->steer != NULL)
		qs_steer_fds(ladder->steer, fds);
	qs_link_send_fds(link, fds, ladder->steer != NULL ? QS_LADDER_FDS : 0);
}

/* All who are bound. */
static void tell(struct qs_endpoint *endpoint)
{
	struct qs_link *link;

	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (is_twin(endpoint, link))
			tell_one(endpoint, link);
	}
}

void qs_ladder_loaded(struct qs_endpoint *endpoint, int rv, struct qs_steer *steer)
{
	struct qs_ladder *ladder = &endpoint->ladder;

	if (ladder->steer != NULL) { /* a sibling was faster */
		qs_steer_free(steer);
		return;
	}
	if (rv == 0)
		rv = qs_steer_attach(steer, endpoint->udp.fd);
	if (rv < 0) {
		qs_log("UDP port %u: no steering program: %s", endpoint->udp.port,
		       strerrorname_np(-rv));
		qs_steer_free(steer);
	} else {
		ladder->steer = steer;
		claim(endpoint);
	}
	if (ladder->steer != NULL) {
		qs_ladder_yield(endpoint);
		tell(endpoint);
	} else if (qs_member_is_eldest(endpoint->member, NULL)) {
		tell(endpoint);
		qs_ladder_search(endpoint);
	}
}

/* Loads it for all, once. False if that can't be, or was in vain. */
static bool try_load(struct qs_endpoint *endpoint)
{
	struct qs_ladder *ladder = &endpoint->ladder;

	if (ladder->load != NULL)
		return true;
	if (ladder->steer != NULL || ladder->tried || !is_wanted(endpoint) || !is_allowed())
		return false;
	ladder->tried = true;
	qs_ladder_load_begin(endpoint);
	return true;
}

void qs_ladder_bound(struct qs_endpoint *endpoint, struct qs_link *newcomer)
{
	if (!qs_member_is_eldest(endpoint->member, newcomer) || try_load(endpoint))
		return;
	tell_one(endpoint, newcomer);
	if (endpoint->ladder.steer == NULL)
		qs_ladder_search(endpoint);
}

/* A sibling has attached a program: if ours came in between, puts it back. */
static void give_way(struct qs_endpoint *endpoint, const int *program)
{
	if (qs_ladder_yield(endpoint))
		(void)setsockopt(endpoint->udp.fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, program,
				 sizeof(*program));
}

void qs_ladder_take(struct qs_endpoint *endpoint, const int *fds, unsigned n)
{
	struct qs_ladder *ladder = &endpoint->ladder;

	if (n == QS_LADDER_FDS)
		give_way(endpoint, &fds[0]);
	if (n == QS_LADDER_FDS && ladder->steer == NULL && endpoint->udp.fd >= 0 &&
	    is_wanted(endpoint) && is_allowed()) {
		if (qs_steer_adopt(&ladder->steer, fds) < 0)
			return;
		if (qs_steer_host(ladder->steer) == endpoint->codec.host) {
			claim(endpoint);
		} else {
			qs_steer_free(ladder->steer);
			ladder->steer = NULL;
		}
		return;
	}
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	if (n == 0)
		try_load(endpoint);
}

void qs_ladder_update(struct qs_endpoint *endpoint)
{
	struct qs_steer_member member = {.slot = endpoint->member->slot,
					 .generation = endpoint->member->generation};

	if (endpoint->ladder.steer != NULL)
		qs_steer_set(endpoint->ladder.steer, &member,
			     endpoint->n_listeners > 0 ? QS_STEER_ACCEPTING : QS_STEER_DRAINING);
}

static void mend(struct qs_endpoint *endpoint)
{
	if (endpoint->ladder.steer != NULL)
		qs_steer_settle(endpoint->ladder.steer);
}

void qs_ladder_leave(struct qs_endpoint *endpoint)
{
	struct qs_steer_member member = {.slot = endpoint->member->slot,
					 .generation = endpoint->member->generation};

	qs_ladder_load_stop(endpoint);
	if (endpoint->ladder.steer == NULL)
		return;
	qs_steer_release(endpoint->ladder.steer, &member);
	qs_steer_free(endpoint->ladder.steer);
	endpoint->ladder.steer = NULL;
}

#else /* built without clang, bpftool or libbpf */

static void tell_one(struct qs_endpoint *endpoint, struct qs_link *link)
{
	(void)endpoint;
	qs_link_send_fds(link, NULL, 0);
}

void qs_ladder_bound(struct qs_endpoint *endpoint, struct qs_link *newcomer)
{
	if (!qs_member_is_eldest(endpoint->member, newcomer))
		return;
	tell_one(endpoint, newcomer);
	qs_ladder_search(endpoint);
}

void qs_ladder_take(struct qs_endpoint *endpoint, const int *fds, unsigned n)
{
	if (n > 0)
		qs_ladder_yield(endpoint);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

void qs_ladder_update(struct qs_endpoint *endpoint)
{
	(void)endpoint;
}

static void mend(struct qs_endpoint *endpoint)
{
	(void)endpoint;
}

void qs_ladder_leave(struct qs_endpoint *endpoint)
{
	(void)endpoint;
}

#endif

void qs_ladder_gone(struct qs_endpoint *endpoint)
{
	endpoint->ladder.mend_until_ns = endpoint->engine->now_ns + MEND_NS;
	qs_ladder_search_later(endpoint);
}

/* Those whose queue was full: without the program one gets what is its own by hand-off only, and nothing new. */
static void tell_again(struct qs_endpoint *endpoint)
{
	struct qs_link *link;

	TAILQ_FOREACH(link, &endpoint->member->links, link)
	{
		if (link->untold && endpoint->ladder.load == NULL)
			tell_one(endpoint, link);
	}
}

void qs_ladder_sweep(struct qs_endpoint *endpoint)
{
	tell_again(endpoint);
	/* The kernel closes a dead sibling's socket when it likes. */
	if (endpoint->engine->now_ns < endpoint->ladder.mend_until_ns)
		mend(endpoint);
	qs_ladder_search_sweep(endpoint);
}

enum qs_rung qs_ladder_rung(const struct qs_endpoint *endpoint)
{
	if (!qs_member_has_twin(endpoint->member))
		return QS_RUNG_ALONE;
	if (endpoint->ladder.steer != NULL)
		return QS_RUNG_EBPF;
	return qs_ladder_is_classic(endpoint) ? QS_RUNG_CLASSIC : QS_RUNG_HASH;
}
