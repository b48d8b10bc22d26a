/* SPDX-License-Identifier: MIT */
/* The status socket: shows all there is to whoever may ask. Engine thread only. */
#ifndef QS_SHOW_H
#define QS_SHOW_H

#include "engine.h"

/* Handler of the status socket: one client, one answer. */
void qs_show_accept(struct qs_source *source, uint32_t events);
/* The name of a process, "" if it is gone. */
void qs_show_program(int64_t pid, char out[static 32]);

#endif
