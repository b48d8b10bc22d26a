/* SPDX-License-Identifier: MIT */
/* Processes for which the engine stays though it is idle: they could not start another one. */
#ifndef QS_KEEPER_H
#define QS_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define QS_KEEPERS_MAX 256u

struct qs_keepers {
	struct {
		pid_t pid;
		uint64_t started; /* with the pid it names a process for ever */
	} at[QS_KEEPERS_MAX];
	unsigned n;
};

/* Those that do not fit are not stayed for. */
void qs_keeper_add(struct qs_keepers *keepers, pid_t pid);
/* True if one of them lives; forgets those that have ended. */
bool qs_keeper_any(struct qs_keepers *keepers);

#endif
