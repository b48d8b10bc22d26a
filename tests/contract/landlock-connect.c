/* SPDX-License-Identifier: MIT */
/* A program that lets itself connect to one TCP port only, by Landlock. */
#include "harness.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* As linux/landlock.h has them since Linux 6.7. */
#define NET_CONNECT_TCP 2ull
#define RULE_NET_PORT 2
struct ruleset {
	uint64_t fs, net;
};
struct net_port {
	uint64_t access, port;
};

static void restrict_to(int port)
{
	struct ruleset ruleset = {.net = NET_CONNECT_TCP};
	struct net_port rule = {.access = NET_CONNECT_TCP, .port = (uint64_t)port};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);

	if (fd < 0)
		ct_skip("no Landlock with rules for TCP");
	MUST(syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule, 0));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(syscall(SYS_landlock_restrict_self, fd, 0));
	close(fd);
}

static void attempt(const char *what, int flags, const struct ct_addr *addr)
{
	int fd = ct_socket(addr->ss.ss_family, flags);
	int rc = connect(fd, (const struct sockaddr *)&addr->ss, addr->len), error = errno;

	if (rc < 0 && error == EINPROGRESS) {
		ct_await(fd, POLLOUT);
		ct_so_error(fd);
	}
	ct_note("%s: %d %s", what, rc, rc < 0 ? strerrorname_np(error) : "");
	if (rc == 0)
		ct_prove(fd);
	close(fd);
}

int main(void)
{
	int listener, other;
	struct ct_addr good, bad, mapped;
	pid_t pid;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	other = ct_listener(AF_INET, 5);
	good = ct_local(listener);
	bad = ct_local(other);
	mapped = ct_addr_of("::ffff:127.0.0.1", ct_port(other));
	restrict_to(ct_addr_port(&good));
	attempt("allowed", 0, &good);
	attempt("forbidden", 0, &bad);
	attempt("forbidden, without blocking", SOCK_NONBLOCK, &bad);
	attempt("forbidden, v4-mapped", 0, &mapped);
	pid = ct_fork("child");
	if (pid == 0) {
		attempt("allowed", SOCK_NONBLOCK, &good);
		attempt("forbidden", 0, &bad);
		_exit(0);
	}
	ct_reap(pid);
	return 0;
}
