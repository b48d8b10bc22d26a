/* SPDX-License-Identifier: MIT */
/* The engine gives up its privileges as the app does. */
#ifndef QS_SHIM_PRIVILEGE_H
#define QS_SHIM_PRIVILEGE_H

#include "../engine/control.h"

/*
 * After a call that may have given up privileges: the engine follows before this returns. NULL: there is
 * nothing that an engine thread must repeat. Async-signal-safe; leaves errno alone.
 */
void qs_privilege_follow(const struct qs_mirror *call);
/* The same for a prctl() that has succeeded, and a capset() as the kernel took it. */
void qs_privilege_follow_prctl(int option, const unsigned long argument[4]);
void qs_privilege_follow_capset(const void *header, const void *data);

#endif
