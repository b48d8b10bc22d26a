/* SPDX-License-Identifier: MIT */
/* The rung of eBPF: one loads the program for all, and no engine stands still for it. */
#include "ladder_kit.h"

#include <stdio.h>
#include <sys/prctl.h>

#ifdef QS_HAVE_STEER
#include "bpf/loader.h"
#endif

#define EXIT_SKIP 77

static bool loads;

/* The eldest loads in a thread, and both are steered; or nobody may, and the hash stays. */
static void the_loop_goes_on_while_one_loads(void **state)
{
	struct qs_ladder *ladder = &parties[0].endpoint.ladder;
	struct pollfd pfd;
	struct qs_udp first;

	(void)state;
	port = 0;
	udp_open(&first); /* chooses the port, by which members find each other */
	join(&parties[0], QS_STEERING_EBPF);
	qs_udp_close(&first);
	join(&parties[1], QS_STEERING_EBPF);
	assert_true(ladder->tried || ladder->load == NULL);
	while (ladder->load != NULL) {
		pfd = (struct pollfd){.fd = parties[0].engine.group_epfd, .events = POLLIN};
		assert_true(poll(&pfd, 1, 60000) > 0);
		settle();
	}
	settle();
	all_are(loads ? QS_RUNG_EBPF : QS_RUNG_HASH);
	if (loads)
		assert_int_equal(misled(), 0);
	/* One that leaves in the midst of it waits for its thread. */
	qs_ladder_leave(&parties[1].endpoint);
	leave(&parties[1]);
	qs_udp_close(&parties[1].endpoint.udp);
	qs_ladder_leave(&parties[0].endpoint);
	ladder->tried = false;
	settle();
	join(&parties[1], QS_STEERING_EBPF);
	qs_ladder_leave(&parties[1].endpoint);
	qs_ladder_leave(&parties[0].endpoint);
	assert_null(ladder->load);
}

static int two_leave(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		leave(&parties[i]);
		qs_udp_close(&parties[i].endpoint.udp);
	}
	return 0;
}

/* Why there can be no program here; NULL if there can, and then there must be one. */
static const char *why_not(void)
{
#ifdef QS_HAVE_STEER
	struct qs_steer *steer;
	int rv;

	if (prctl(PR_GET_SECCOMP) != 0)
		return "a seccomp filter is on, under which an engine loads nothing";
	rv = qs_steer_load(&steer, 0);
	if (rv == -EPERM || rv == -ENOSYS)
		return "no eBPF program can be loaded here (needs root)";
	if (rv == 0)
		qs_steer_free(steer);
	return NULL;
#else
	return "built without clang, bpftool or libbpf";
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_loop_goes_on_while_one_loads, two_leave),
	};
	const char *why = why_not();
	int failed;

	loads = why == NULL;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (failed != 0 || loads)
		return failed;
	fprintf(stderr, "SKIP: %s\n", why);
	return EXIT_SKIP;
}
