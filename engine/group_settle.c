/* SPDX-License-Identifier: MIT */
/* The answer to a SYNC waits a little for the app: what stood in its queue before anybody else was there. */

/*
 * Theory. From a sibling's hello on what comes into our listeners' queues is held (hold.h), and nothing is lost if the
 * app then closes them. What was there before has been given its client's bytes: if the app closed now, the client
 * would see a reset. A successor that stops its predecessor does so when its own listen() has returned, and that
 * waits for our answer. So we answer when the app has accepted all of those, which it does at once if it is
 * given the processor; one that does not accept is waited for SETTLE_NS, however often we are asked meanwhile and
 * soon after: one listen() asks more than once. The steering program is waited for likewise (ladder_load.c): else the
 * newcomer's first datagrams would go by the kernel's hash, and over the link.
 * An engine that waits itself, for answers or for its workers, answers at once, what it owed too: its app may sit in
 * listen(), and two that wait for each other must not. So does one that is asked by a thread of its own process.
 */
#include "group_parts.h"

#include "endpoint.h"
#include "hold.h"
#include "log.h"

#include <unistd.h>

#define SETTLE_NS (800 * QS_MSEC) /* less than SYNC_MS of group.c */
#define AGAIN_NS (5 * QS_NSEC) /* after that we wait again */
#define LOOK_NS (2 * QS_MSEC)

static void answer(struct qs_link *link)
{
	link->owes = false;
	qs_link_say(link, QS_HANDOFF_ACK, link->owed, NULL, 0);
}

static void try_answer(struct qs_link *link)
{
	struct qs_member *member = link->member;
	struct qs_engine *engine = member->engine;
	uint64_t now = engine->now_ns;

	if (!engine->group_waits && link->peer.pid != getpid() &&
	    (member->endpoint->ladder.load != NULL ||
	     !qs_hold_is_settled(member->endpoint, link))) {
		if (link->owed_until_ns == 0 || now > link->owed_until_ns + AGAIN_NS)
			link->owed_until_ns = now + SETTLE_NS;
		if (now < link->owed_until_ns) {
			qs_timer_set(&engine->timers, &member->settle, now + LOOK_NS);
			return;
		}
		qs_log("slot %u of UDP port %u: slot %u listens, and we are not ready",
		       member->slot, member->address.port, link->peer.slot);
	}
	answer(link);
}

static void look(struct qs_timer *timer, uint64_t now_ns)
{
	struct qs_member *member = qs_container(timer, struct qs_member, settle);
	struct qs_link *link;

	(void)now_ns;
	TAILQ_FOREACH(link, &member->links, link)
	{
		if (link->owes)
			try_answer(link);
	}
}

void qs_link_asked(struct qs_link *link, uint32_t number)
{
	link->owes = true;
	link->owed = number;
	link->member->settle.fn = look;
	try_answer(link);
}

void qs_group_answer(struct qs_engine *engine)
{
	struct qs_endpoint *endpoint;
	struct qs_link *link;

	TAILQ_FOREACH(endpoint, &engine->endpoints, link)
	{
		if (endpoint->member == NULL)
			continue;
		TAILQ_FOREACH(link, &endpoint->member->links, link)
		{
			if (link->owes)
				answer(link);
		}
	}
}
