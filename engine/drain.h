/* SPDX-License-Identifier: MIT */
/* Sending what apps have written, before an engine must end. Engine thread only. */
#ifndef QS_DRAIN_H
#define QS_DRAIN_H

#include "engine.h"

/* No more comes from the apps: what they wrote is read to its end, and gets a FIN. The second time
 * it does nothing. */
void qs_drain_begin(struct qs_engine *engine);
/* After that: all of it is acknowledged, or the longest linger of the policy's rules is over. */
bool qs_drain_done(const struct qs_engine *engine);
/* Nothing of what apps have written waits here: all of it is acknowledged. Nobody is hindered to write more. */
bool qs_drain_is_quiet(const struct qs_engine *engine);

#endif
