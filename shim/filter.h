/* SPDX-License-Identifier: MIT */
/* What a seccomp filter does with a system call: asked before the call is made. */
#ifndef QS_FILTER_H
#define QS_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Runs a filter that the kernel has taken on one call of this machine's own architecture. Returns what the filter
 * returns (SECCOMP_RET_...); SECCOMP_RET_KILL_PROCESS for an instruction that is none. Async-signal-safe.
 */
uint32_t qs_filter_run(const struct sock_fprog *filter, int nr, const uint64_t argument[6]);

/* The call would end the program, or raise a signal that it has not asked for. */
bool qs_filter_is_deadly(const struct sock_fprog *filter, int nr, const uint64_t argument[6]);

#endif
