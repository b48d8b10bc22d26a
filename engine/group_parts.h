/* SPDX-License-Identifier: MIT */
/* What group.c and group_link.c share. */
#ifndef QS_GROUP_PARTS_H
#define QS_GROUP_PARTS_H

#include "group.h"

/* Takes the connected socket and says hello; `to` as in the link. 0 or -errno, and then the socket is
 * the caller's. */
int qs_link_new(struct qs_member *member, int fd, unsigned to);
/* Without a head's train; `body` may be NULL. */
void qs_link_say(struct qs_link *link, enum qs_handoff_type type, uint32_t number, const void *body,
		 size_t len);
/* The same for what the peer can do without, and strangers can bring about: lost if the peer does not read. */
void qs_link_hint(struct qs_link *link, enum qs_handoff_type type, uint32_t number,
		  const void *body, size_t len);
/* All that the member serves. */
void qs_link_say_serves(struct qs_link *link);
/* Sends what is queued, waiting a little if it must. */
void qs_link_drain(struct qs_link *link, uint64_t until_ms);
void qs_link_end(struct qs_link *link);
/* It wants an answer with this number; it gets it now or soon: group_settle.c. */
void qs_link_asked(struct qs_link *link, uint32_t number);
/* All that is owed, now. */
void qs_group_answer(struct qs_engine *engine);

#endif
