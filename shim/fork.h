/* SPDX-License-Identifier: MIT */
/* What fork() needs in a process with an engine thread. */
#ifndef QS_FORK_H
#define QS_FORK_H

/* Once, before main: as early as can be, so that ours is the last word before fork() and the first after it. */
void qs_fork_init(void);

#endif
