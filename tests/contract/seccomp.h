/* SPDX-License-Identifier: MIT */
/* Seccomp filters, for the tests that need one. */
#ifndef QS_CONTRACT_SECCOMP_H
#define QS_CONTRACT_SECCOMP_H

#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define SECCOMP_MAX 64

/* With a filter on: the calls of LIST (up to -1) get ACTION, all others OTHER. */
static inline void seccomp_on(const int *list, unsigned action, unsigned other)
{
	struct sock_filter code[2 * SECCOMP_MAX + 2];
	struct sock_fprog filter = {.filter = code};
	unsigned n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (; *list >= 0; list++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)*list,
							 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, other);
	filter.len = (unsigned short)n;
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		ct_skip("seccomp is not to be had here");
}

/* The same for one family of socket(). */
static inline void seccomp_no_family(unsigned family, unsigned action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = COUNT(code), .filter = code};

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		ct_skip("seccomp is not to be had here");
}

/* What a connect gives that the filter lets TCP make, but not us: it must be refused, never in the clear. */
static inline void seccomp_refused(int fd, const struct ct_addr *addr)
{
	int rc = connect(fd, (const struct sockaddr *)&addr->ss, addr->len);

	ct_note("connect as it must %d",
		getenv("QS_EXPECT_MAPPED") != NULL ? rc < 0 && errno == EACCES : rc == 0);
}

#endif
