/* SPDX-License-Identifier: MIT */
/* The policy file as a file: trust, what open(2) refuses, the search order. */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD "[connect * 1]\nmode = tcp\n"
#define STRANGER 65534

static char dir[] = "/tmp/qs-policy-XXXXXX";
static char self[4096];

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static const char *make_file(const char *name, const char *text, size_t len, mode_t mode)
{
	const char *path = in_dir(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* Load and expect this result; `part` of the message and its line if it is a failure. */
static void assert_load(const char *path, uid_t euid, int expected, int line, const char *part)
{
	struct qs_policy *policy = (struct qs_policy *)&policy;
	struct qs_policy_error err = {0};
	int ret = qs_policy_load(path, euid, &policy, &err);

	if (ret != expected)
		fail_msg("%s: %d (%s), %d expected", path, ret, err.text, expected);
	if (ret == 0) {
		assert_int_equal(policy->n_rules, 1);
		assert_string_equal(policy->path, path);
		qs_policy_free(policy);
		return;
	}
	assert_null(policy);
	assert_int_equal(err.line, line);
	if (!strstr(err.text, part) || !strstr(err.text, "; "))
		fail_msg("\"%s\" expected: %s", part, err.text);
	assert_int_equal(qs_policy_load(path, euid, &policy, NULL), expected);
}

static void test_modes(void **state)
{
	static const struct {
		mode_t mode;
		bool trusted;
	} cases[] = {
		{0600, true},  {0644, true},  {0400, true},   {0444, true},
		{0755, true},  {0664, false}, {0620, false},  {0646, false},
		{0602, false}, {0666, false}, {01777, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = make_file("modes", GOOD, strlen(GOOD), cases[i].mode);

		assert_load(path, geteuid(), cases[i].trusted ? 0 : -EACCES, 0, "others may write");
	}
}

static void test_owner(void **state)
{
	const char *path = make_file("owner", GOOD, strlen(GOOD), 0644);
	const char *link = in_dir("owner-link");

	(void)state;
	if (geteuid() != 0) { /* ours, but not that of who asks */
		assert_load(path, geteuid() + 1, -EACCES, 0, "not trusted: owned by uid");
		return;
	}
	assert_load(path, 12345, 0, 0, NULL); /* root's is good for everybody */
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
	assert_load(path, 0, -EACCES, 0, "not trusted: owned by uid 65534");
	assert_load(path, 12345, -EACCES, 0, "to root or to uid 12345");
	assert_load(path, STRANGER, 0, 0, NULL);
	/* the file counts, not the link to it */
	assert_int_equal(symlink(path, link), 0);
	assert_load(link, 0, -EACCES, 0, "owned by uid 65534");
	assert_load(link, STRANGER, 0, 0, NULL);
	assert_int_equal(unlink(link), 0);
	path = make_file("owner", GOOD, strlen(GOOD), 0644);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(lchown(link, STRANGER, STRANGER), 0);
	assert_load(link, 0, 0, 0, NULL);
}

static void test_kinds(void **state)
{
	(void)state;
	assert_load(in_dir("none"), 0, -ENOENT, 0, "no such file");
	assert_load("", 0, -ENOENT, 0, "no such file");
	assert_load(in_dir("none/p"), 0, -ENOENT, 0, "no such file");
	assert_load(dir, geteuid(), -EACCES, 0, "not a regular file");
	assert_load("/dev/null", geteuid(), -EACCES, 0, "not a regular file");
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	assert_load(in_dir("fifo"), geteuid(), -EACCES, 0, "not a regular file"); /* and no hang */
	assert_int_equal(symlink("loop", in_dir("loop")), 0);
	assert_load(in_dir("loop"), 0, -ELOOP, 0, "loop of symbolic links");
	if (geteuid() != 0)
		assert_load(make_file("secret", GOOD, strlen(GOOD), 0), geteuid(), -EACCES, 0,
			    "permission denied");
}

static void test_content(void **state)
{
	static char big[QS_POLICY_BYTES_MAX + 1];
	struct qs_policy *policy;
	const char *path;

	(void)state;
	assert_load(make_file("bad", "\n[connect * 1]\nmod = tcp\n", 25, 0600), geteuid(), -EINVAL,
		    3, "bad:3: unknown key \"mod\"; do you mean \"mode\"?");
	assert_load(make_file("nul", GOOD "\0", sizeof(GOOD), 0600), geteuid(), -EINVAL, 3,
		    "NUL byte");
	memset(big, '\n', sizeof(big));
	memcpy(big, GOOD, strlen(GOOD));
	assert_load(make_file("big", big, sizeof(big) - 1, 0600), geteuid(), 0, 0, NULL);
	assert_load(make_file("big", big, sizeof(big), 0600), geteuid(), -EINVAL, 0, "1 MiB");
	path = make_file("empty", "", 0, 0600);
	assert_int_equal(qs_policy_load(path, geteuid(), &policy, NULL), 0);
	assert_int_equal(policy->n_rules, 0);
	qs_policy_free(policy);
}

static unsigned count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* No descriptor and no mapping stays, and a loaded policy can't be written to. */
static void test_leftovers(void **state)
{
	const char *good = make_file("left", GOOD, strlen(GOOD), 0600);
	const char *bad = make_file("left-bad", "x", 1, 0600);
	unsigned before = count_descriptors();
	struct qs_policy *policy;
	char byte;
	int fds[2];

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(qs_policy_load(good, geteuid(), &policy, NULL), 0);
		if (i < 99)
			qs_policy_free(policy);
		else
			break;
		assert_int_equal(qs_policy_load(bad, geteuid(), &policy, NULL), -EINVAL);
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	errno = 0;
	assert_int_equal(read(fds[0], policy, 1), -1); /* the kernel may not write there */
	assert_int_equal(errno, EFAULT);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	qs_policy_free(policy);
}

static void set(const char *name, const char *value)
{
	if (value)
		assert_int_equal(setenv(name, value, 1), 0);
	else
		assert_int_equal(unsetenv(name), 0);
}

static void locate(const char *file, const char *config, const char *home, const char *expected)
{
	const bool system = access(QS_POLICY_SYSTEM_FILE, F_OK) == 0;
	char buf[4096] = "?";
	int ret;

	if (!expected && system)
		expected = QS_POLICY_SYSTEM_FILE;
	set("QUICSHIM_POLICY", file);
	set("XDG_CONFIG_HOME", config);
	set("HOME", home);
	errno = 77;
	ret = qs_policy_locate(buf, sizeof(buf));
	assert_int_equal(errno, 77);
	assert_int_equal(ret, expected ? 1 : 0);
	assert_string_equal(buf, expected ? expected : "");
}

static void test_locate(void **state)
{
	static char config[128], home[128], of_config[256], of_home[256], small[16];

	(void)state;
	snprintf(config, sizeof(config), "%s/xdg", dir);
	snprintf(home, sizeof(home), "%s/home", dir);
	snprintf(of_config, sizeof(of_config), "%s/quicshim/policy.conf", config);
	snprintf(of_home, sizeof(of_home), "%s/.config/quicshim/policy.conf", home);
	assert_int_equal(mkdir(config, 0700), 0);
	assert_int_equal(mkdir(home, 0700), 0);
	assert_int_equal(mkdir(in_dir("xdg/quicshim"), 0700), 0);
	assert_int_equal(mkdir(in_dir("home/.config"), 0700), 0);
	assert_int_equal(mkdir(in_dir("home/.config/quicshim"), 0700), 0);
	/* nothing there yet */
	locate(NULL, NULL, NULL, NULL);
	locate(NULL, config, home, NULL);
	locate(NULL, NULL, home, NULL);
	locate("/no/such/file", config, home, "/no/such/file");
	locate("relative", NULL, NULL, "relative");
	locate("", NULL, NULL, NULL);
	make_file("xdg/quicshim/policy.conf", GOOD, strlen(GOOD), 0600);
	locate(NULL, NULL, home, NULL);
	locate(NULL, config, home, of_config);
	locate("", config, home, of_config);
	make_file("home/.config/quicshim/policy.conf", GOOD, strlen(GOOD), 0600);
	locate(NULL, NULL, home, of_home);
	locate(NULL, "", home, of_home);
	locate(NULL, "xdg", home, of_home); /* relative: ignored */
	locate(NULL, config, home, of_config);
	locate(NULL, home, home, NULL); /* only the one directory is the user's */
	locate(NULL, NULL, "home", NULL);
	locate("/x", config, home, "/x");
	/* a link that leads nowhere was put there by somebody: it is found, and won't load */
	assert_int_equal(unlink(of_home), 0);
	assert_int_equal(symlink("/no/such/file", of_home), 0);
	locate(NULL, NULL, home, of_home);
	assert_load(of_home, geteuid(), -ENOENT, 0, "no such file");
	/* never cut */
	set("QUICSHIM_POLICY", "/a/path/of/20/bytes!");
	assert_int_equal(qs_policy_locate(small, sizeof(small)), -ENAMETOOLONG);
	set("QUICSHIM_POLICY", "/15/bytes/long!");
	assert_int_equal(qs_policy_locate(small, sizeof(small)), 1);
	set("QUICSHIM_POLICY", NULL);
	assert_int_equal(qs_policy_locate(small, sizeof(small)), -ENAMETOOLONG);
}

/* A set-user-ID program must not take its policy from who starts it. */
static void test_locate_secure(void **state)
{
	const char *copy = in_dir("suid");
	char command[8192], answer[256] = "";
	FILE *out;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(command, sizeof(command), "cp '%s' '%s'", self, copy);
	assert_int_equal(system(command), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chown(copy, STRANGER, STRANGER), 0);
	assert_int_equal(chmod(copy, 04755), 0);
	snprintf(command, sizeof(command), "QUICSHIM_POLICY=/x HOME=/ '%s' --locate", copy);
	out = popen(command, "r");
	assert_non_null(out);
	assert_non_null(fgets(answer, sizeof(answer), out));
	pclose(out);
	if (strncmp(answer, "secure=0", 8) == 0) /* mounted nosuid, or no_new_privs */
		skip();
	if (access(QS_POLICY_SYSTEM_FILE, F_OK) == 0)
		assert_string_equal(answer, "secure=1 found=1 " QS_POLICY_SYSTEM_FILE "\n");
	else
		assert_string_equal(answer, "secure=1 found=0 \n");
}

/* Leaves by _exit: the leak checker can't look into a set-user-ID process. */
static void print_location(void)
{
	char buf[4096];
	int found = qs_policy_locate(buf, sizeof(buf));

	printf("secure=%d found=%d %s\n", getauxval(AT_SECURE) != 0, found, buf);
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),	      cmocka_unit_test(test_owner),
		cmocka_unit_test(test_kinds),	      cmocka_unit_test(test_content),
		cmocka_unit_test(test_leftovers),     cmocka_unit_test(test_locate),
		cmocka_unit_test(test_locate_secure),
	};
	char command[64];
	ssize_t len;
	int ret;

	if (argc == 2 && strcmp(argv[1], "--locate") == 0)
		print_location();
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0 || !mkdtemp(dir)) {
		perror("test_policy_file");
		return 1;
	}
	ret = cmocka_run_group_tests_name("policy_file", tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? ret : 1;
}
