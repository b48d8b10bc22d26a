/* SPDX-License-Identifier: MIT */
/* Loads the steering program in a thread of its own: the kernel takes long to check it. */
#ifndef QS_LADDER_LOAD_H
#define QS_LADDER_LOAD_H

struct qs_endpoint;
struct qs_steer;

/* Begins; qs_ladder_loaded() is called at the end, perhaps within this call. */
void qs_ladder_load_begin(struct qs_endpoint *endpoint);
/* Waits for the end and throws away what has been loaded. Does nothing if none is under way. */
void qs_ladder_load_stop(struct qs_endpoint *endpoint);

/* ladder.c: rv as of qs_steer_load(). Takes the steer, NULL if rv < 0. */
void qs_ladder_loaded(struct qs_endpoint *endpoint, int rv, struct qs_steer *steer);

#endif
