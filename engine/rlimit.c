/* SPDX-License-Identifier: MIT */
/* Resource limits of a process that is the engine's alone. */
#include "rlimit.h"

#include "control.h"

#include <stddef.h>
#include <sys/resource.h>

/* No more: without any limit the kernel lays memory out the old way at an execve. */
#define STACK_BYTES (8u << 20)
#define DESCRIPTORS (QS_SLOTS_MAX + 64)

/* The descriptors of an engine whose slots are all taken, where the hard limit is lower: root may. */
static void make_room(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max = DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void raise_to(int which, rlim_t least)
{
	struct rlimit limit;

	if (getrlimit(which, &limit) < 0 || limit.rlim_cur >= least)
		return;
	limit.rlim_cur = least < limit.rlim_max ? least : limit.rlim_max;
	setrlimit(which, &limit);
}

void qs_rlimit_own(void)
{
	/* RLIMIT_FSIZE bounds the pages, which are files of memory; RLIMIT_MEMLOCK what the kernel keeps for BPF. */
	static const int which[] = {RLIMIT_CPU,	   RLIMIT_DATA,	 RLIMIT_AS,	RLIMIT_RSS,
				    RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_MEMLOCK};

	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		raise_to(which[i], RLIM_INFINITY);
	raise_to(RLIMIT_STACK, STACK_BYTES);
	make_room();
}
