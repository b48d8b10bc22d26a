/* SPDX-License-Identifier: MIT */
/* The system calls that the shim makes where the app made none or another one: what a filter is tried on. */
#ifndef QS_SANDBOX_CALLS_H
#define QS_SANDBOX_CALLS_H

#include <stddef.h>
#include <stdint.h>

struct qs_own_call {
	int nr;
	const char *name;
	uint64_t argument[6];
	const char *why; /* "file.c, file.c: what for" */
};

/* In the order of the flags in sandbox.c. */
enum qs_own_calls {
	QS_CALLS_LOOK,
	QS_CALLS_ASK,
	QS_CALLS_SPAWN,
	QS_CALLS_PROBE,
	QS_CALLS_SAY,
	QS_CALLS_MAX
};

/* The calls of one kind, and how many they are. */
const struct qs_own_call *qs_own_calls(enum qs_own_calls kind, size_t *n);

#endif
