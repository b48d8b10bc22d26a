/* SPDX-License-Identifier: MIT */
/* Which host names this process resolved to which addresses. */
#ifndef QS_NAMES_H
#define QS_NAMES_H

#include "../engine/control.h"

/*
 * Up to QS_NAMES_MAX names that led to `addr`, each once, the likeliest first; "" stands for the address itself.
 * Async-signal-safe.
 */
unsigned qs_names_lookup(const struct qs_addr *addr, char out[QS_NAMES_MAX][QS_NAME_MAX]);

#endif
