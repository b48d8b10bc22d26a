/* SPDX-License-Identifier: MIT */
/* Accepted streams whose app gets nothing before it has accepted them, so that another could. Engine thread only. */
#ifndef QS_HOLD_H
#define QS_HOLD_H

#include "stream.h"

struct qs_link;

/* Before the stream's end is connected to its listener: whether it is to be held, and says so in its slot. */
bool qs_hold_offer(struct qs_stream *stream);
/* After that: from here on nothing is given to the app. */
void qs_hold_begin(struct qs_stream *stream);
/* The app has written, or ended its half, for the first time: whether its accept() told of itself is noted. */
void qs_hold_learn(struct qs_stream *stream);
/* Whether it is certain that an app has it. */
bool qs_hold_is_accepted(const struct qs_stream *stream);
/* accept() has said that it is there (`said`), or the app has shown it without a word. */
void qs_hold_accepted(struct qs_stream *stream, bool said);
/* It is given what there is, or it ends. */
void qs_hold_end(struct qs_stream *stream);
/* Whether the apps have accepted all that the link's peer could take too and that is not held. */
bool qs_hold_is_settled(const struct qs_endpoint *endpoint, const struct qs_link *link);
/* Ends those that have lasted too long. */
void qs_hold_expire(struct qs_timer *timer, uint64_t now_ns);

#endif
