/* SPDX-License-Identifier: MIT */
/* Soft limits that fit the program, and not an engine: they bind the program only. */
#include "harness.h"

#include <sys/resource.h>

static void set(int which, rlim_t soft)
{
	struct rlimit limit;

	MUST(getrlimit(which, &limit));
	limit.rlim_cur = soft;
	MUST(setrlimit(which, &limit));
}

static void note(const char *name, int which, rlim_t soft)
{
	struct rlimit limit;

	MUST(getrlimit(which, &limit));
	ct_note("%s as it was: %d", name, limit.rlim_cur == soft);
}

static void talk(rlim_t descriptors, rlim_t octets)
{
	int pair[2];

	set(RLIMIT_NOFILE, descriptors);
	set(RLIMIT_FSIZE, octets);
	ct_pair(pair);
	TRY(ct_write_full(pair[0], "hello", 5));
	TRY(ct_read_full(pair[1], (char[8]){0}, 5));
	note("descriptors", RLIMIT_NOFILE, descriptors);
	note("octets", RLIMIT_FSIZE, octets);
	exit(0);
}

int main(void)
{
	static const struct {
		const char *name;
		rlim_t descriptors, octets;
	} cases[] = {{"descriptors", 10, 1 << 30}, {"octets", 256, 1 << 20}};
	const char *role;

	ct_init();
	/* Each with an engine of its own. */
	role = ct_role();
	for (unsigned i = 0; i < COUNT(cases); i++) {
		pid_t pid;

		if (role != NULL && strcmp(role, cases[i].name) == 0) {
			ct_as(role);
			talk(cases[i].descriptors, cases[i].octets);
		}
		if (role != NULL)
			continue;
		pid = ct_fork("child");
		if (pid == 0) {
			unsetenv("QUICSHIM_ENGINE");
			ct_exec_self(cases[i].name);
		}
		ct_reap(pid);
	}
	return 0;
}
