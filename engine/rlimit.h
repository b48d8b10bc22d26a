/* SPDX-License-Identifier: MIT */
/* Resource limits of a process that is the engine's alone. */
#ifndef QS_RLIMIT_H
#define QS_RLIMIT_H

/* The soft limits of the program were made for the program: they are raised, as far as the hard ones allow. */
void qs_rlimit_own(void);

#endif
