/* SPDX-License-Identifier: MIT */
/* Remembers processes by number and time of birth. */
#include "keeper.h"

#include "process.h"

bool qs_keeper_any(struct qs_keepers *keepers)
{
	struct qs_process process;

	for (unsigned i = 0; i < keepers->n;) {
		if (qs_process_read(keepers->at[i].pid, &process) == 0 &&
		    process.started == keepers->at[i].started)
			i++;
		else
			keepers->at[i] = keepers->at[--keepers->n];
	}
	return keepers->n > 0;
}

void qs_keeper_add(struct qs_keepers *keepers, pid_t pid)
{
	struct qs_process process;

	if (qs_process_read(pid, &process) < 0)
		return;
	for (unsigned i = 0; i < keepers->n; i++)
		if (keepers->at[i].pid == pid && keepers->at[i].started == process.started)
			return;
	if (keepers->n == QS_KEEPERS_MAX)
		qs_keeper_any(keepers);
	if (keepers->n == QS_KEEPERS_MAX)
		return;
	keepers->at[keepers->n].pid = pid;
	keepers->at[keepers->n++].started = process.started;
}
