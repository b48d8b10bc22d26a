/* SPDX-License-Identifier: MIT */
/* What /proc says of a process. */
#include "process.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char status[] = "Name:\tUid:\\n7 7\nUmask:\t0022\nState:\tS (sleeping)\nPPid:\t1\n"
			     "Uid:\t1000\t1001\t1002\t1003\nGid:\t10\t11\t12\t13\n"
			     "FDSize:\t64\nGroups:\t4 24 4294967294 \nNStgid:\t7\n"
			     "CapInh:\t0000000000000000\nCapPrm:\t00000080000005c0\n"
			     "CapEff:\t0000000000000400\nCapBnd:\t000001ffffffffff\n"
			     "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";

static void whole_status(void **state)
{
	struct qs_process p = {0};

	(void)state;
	assert_int_equal(qs_process_parse_status(status, &p), 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(p.uid[i], 1000 + i);
		assert_int_equal(p.gid[i], 10 + i);
	}
	assert_int_equal(p.n_groups, 3);
	assert_int_equal(p.groups[0], 4);
	assert_int_equal(p.groups[1], 24);
	assert_true(p.groups[2] == 4294967294u);
	assert_true(p.permitted == 0x80000005c0);
	assert_true(p.bounding == 0x1ffffffffff);
	assert_false(qs_process_is_settled(&p));
	p.uid[0] = p.uid[1] = p.uid[2] = p.uid[3];
	assert_true(qs_process_is_settled(&p));
}

static void broken_status(void **state)
{
	char text[sizeof(status)];
	struct qs_process p = {0};

	(void)state;
	assert_int_equal(qs_process_parse_status("", &p), -EINVAL);
	assert_int_equal(qs_process_parse_status("Uid:\t1 2 3 4\n", &p), -EINVAL);
	/* Cut before the last field that is needed. */
	memcpy(text, status, sizeof(text));
	*strstr(text, "CapBnd") = '\0';
	assert_int_equal(qs_process_parse_status(text, &p), -EINVAL);
}

static void no_groups_and_many(void **state)
{
	char text[4096] = "Uid:\t1\t1\t1\t1\nGid:\t2\t2\t2\t2\nCapPrm:\t0\nCapBnd:\t0\nGroups:\t\n";
	struct qs_process p = {0};

	(void)state;
	assert_int_equal(qs_process_parse_status(text, &p), 0);
	assert_int_equal(p.n_groups, 0);
	text[strlen(text) - 1] = '\0';
	for (int i = 0; i < 200; i++)
		strcat(text, "77 ");
	assert_int_equal(qs_process_parse_status(text, &p), 0);
	assert_int_equal(p.n_groups, QS_PROCESS_GROUPS_MAX);
}

static void stat_text(void **state)
{
	struct qs_process p = {0};

	(void)state;
	assert_int_equal(
		qs_process_parse_stat("42 (a) Z) x) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 "
				      "1 0 987654 1 2\n",
				      &p),
		0);
	assert_int_equal(p.parent, 7);
	assert_int_equal(p.session, 40);
	assert_true(p.started == 987654);
	assert_false(p.zombie);
	assert_int_equal(qs_process_parse_stat("42 (x) Z 7", &p), -EINVAL);
	assert_int_equal(qs_process_parse_stat("", &p), -EINVAL);
}

static void ourselves(void **state)
{
	struct qs_process p;

	(void)state;
	assert_int_equal(qs_process_read(getpid(), &p), 0);
	assert_int_equal(p.uid[1], geteuid());
	assert_int_equal(p.parent, getppid());
	assert_int_equal(p.session, getsid(0));
	assert_int_equal(qs_process_read(0, &p), -ESRCH);
	assert_int_equal(qs_process_read(-1, &p), -ESRCH);
}

/* So many groups that their line alone is longer than all else that is read. Who may not have them is skipped. */
static void crowd(void **state)
{
	static gid_t groups[65536];
	int ready[2], ended[2];
	struct qs_process p;
	char byte;
	pid_t child;

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		groups[i] = (gid_t)(3000000000u + i);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(ended), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ended[1]);
		byte = setgroups(sizeof(groups) / sizeof(groups[0]), groups) == 0;
		if (write(ready[1], &byte, 1) == 1)
			_exit(read(ended[0], &byte, 1) != 0);
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	if (byte) {
		assert_int_equal(qs_process_read(child, &p), 0);
		assert_int_equal(p.uid[1], geteuid());
		assert_int_equal(p.parent, getpid());
		assert_int_equal(p.n_groups, QS_PROCESS_GROUPS_MAX);
		for (unsigned i = 0; i < p.n_groups; i++)
			assert_true(p.groups[i] == groups[i]);
	}
	close(ended[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	for (int i = 0; i < 2; i++)
		close(ready[i]);
	close(ended[0]);
	if (!byte)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_status),	      cmocka_unit_test(broken_status),
		cmocka_unit_test(no_groups_and_many), cmocka_unit_test(stat_text),
		cmocka_unit_test(ourselves),	      cmocka_unit_test(crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
