/* SPDX-License-Identifier: MIT */
/* syscall(2): the numbers that connect, listen and the like stand for take the same way as the
 * functions. */
#include "syscall.h"

#include "exit.h"
#include "landlock.h"
#include "privilege.h"
#include "raw.h"
#include "real.h"
#include "sandbox.h"
#include "state.h"
#include "uring.h"

#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

/*
 * Theory. Programs and libraries (libseccomp, language run-times) make system calls by number
 * through this function. It must stay transparent for all that we do not handle: for SYS_vfork or
 * SYS_clone even a C frame of ours on the stack would do harm. So it is a few instructions that
 * compare the number and jump, to libc's or to dispatch(). Where those instructions are not
 * written, syscall() is not interposed.
 */

#if defined(__x86_64__) && defined(__LP64__)

_Static_assert(SYS_connect == 42 && SYS_getsockopt == 55, "the range below");
_Static_assert(SYS_prctl == 157 && SYS_capset == 126 && SYS_chroot == 161 && SYS_epoll_ctl == 233,
	       "the numbers below");
_Static_assert(SYS_accept4 == 288 && SYS_seccomp == 317, "the numbers below");
_Static_assert(SYS_recvmmsg == 299 && SYS_sendmmsg == 307, "the numbers below");
_Static_assert(SYS_io_uring_setup == 425 && SYS_io_uring_register == 427, "the numbers below");
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif
_Static_assert(SYS_landlock_restrict_self == 446, "and this one");
_Static_assert(SYS_exit_group == 231 && SYS_execve == 59 && SYS_execveat == 322, "and these");

__asm__(".pushsection .text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	endbr64\n"
	"	leaq -42(%rdi), %rax\n"
	"	cmpq $13, %rax\n"
	"	jbe qs_syscall_dispatch\n"
	"	cmpq $288, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $299, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $307, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $317, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $157, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $126, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	leaq -425(%rdi), %rax\n"
	"	cmpq $2, %rax\n"
	"	jbe qs_syscall_dispatch\n"
	"	cmpq $446, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $161, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $233, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $231, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $59, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	cmpq $322, %rdi\n"
	"	je qs_syscall_dispatch\n"
	"	jmp *qs_syscall_real(%rip)\n"
	".size syscall, . - syscall\n"
	".popsection\n");

static long early(long nr, long a, long b, long c, long d, long e, long f)
{
	return qs_result(qs_raw6(nr, a, b, c, d, e, f));
}

__attribute__((used)) qs_syscall_fn *qs_syscall_real = early;

#define FD ((int)a)
#define ADDR(x) ((struct sockaddr *)(x))
#define LEN(x) ((socklen_t *)(x))
#define DATA(x) ((void *)(x))

static long ring_setup(long entries, struct io_uring_params *params)
{
	struct qs_uring_setup setup;
	long fd;

	if (!qs_watching() || !params)
		return qs_syscall_real(SYS_io_uring_setup, entries, (long)params, 0, 0, 0, 0);
	qs_uring_before_setup(&setup, params);
	fd = qs_syscall_real(SYS_io_uring_setup, entries, (long)params, 0, 0, 0, 0);
	if (qs_uring_after_setup(&setup, (int)fd, params))
		return fd;
	qs_sys_close((int)fd);
	return qs_result(-ENOMEM);
}

__attribute__((used)) long qs_syscall_dispatch(long nr, long a, long b, long c, long d, long e,
					       long f)
{
	long rc, n;

	switch (nr) {
	case SYS_connect:
		return connect(FD, ADDR(b), (socklen_t)c);
	case SYS_accept:
		return accept(FD, ADDR(b), LEN(c));
	case SYS_accept4:
		return accept4(FD, ADDR(b), LEN(c), (int)d);
	case SYS_sendto:
		return sendto(FD, DATA(b), (size_t)c, (int)d, ADDR(e), (socklen_t)f);
	case SYS_recvfrom:
		return recvfrom(FD, DATA(b), (size_t)c, (int)d, ADDR(e), LEN(f));
	case SYS_sendmsg:
		return sendmsg(FD, DATA(b), (int)c);
	case SYS_recvmsg:
		return recvmsg(FD, DATA(b), (int)c);
	case SYS_sendmmsg:
		return sendmmsg(FD, DATA(b), (unsigned)c, (int)d);
	case SYS_recvmmsg:
		return recvmmsg(FD, DATA(b), (unsigned)c, (int)d, DATA(e));
	case SYS_shutdown:
		return shutdown(FD, (int)b);
	case SYS_bind:
		return bind(FD, ADDR(b), (socklen_t)c);
	case SYS_listen:
		return listen(FD, (int)b);
	case SYS_getsockname:
		return getsockname(FD, ADDR(b), LEN(c));
	case SYS_getpeername:
		return getpeername(FD, ADDR(b), LEN(c));
	case SYS_setsockopt:
		return setsockopt(FD, (int)b, (int)c, DATA(d), (socklen_t)e);
	case SYS_getsockopt:
		return getsockopt(FD, (int)b, (int)c, DATA(d), LEN(e));
	case SYS_epoll_ctl:
		return epoll_ctl(FD, (int)b, (int)c, DATA(d));
	case SYS_prctl:
		return prctl((int)a, b, c, d, e);
	case SYS_exit_group:
		qs_exit_leave(QS_LEAVE_EXIT);
		return qs_syscall_real(nr, a, b, c, d, e, f);
	case SYS_execve:
		return execve(DATA(a), DATA(b), DATA(c));
	case SYS_execveat:
		return execveat(FD, DATA(b), DATA(c), DATA(d), (int)e);
	case SYS_io_uring_setup:
		return ring_setup(a, DATA(b));
	case SYS_io_uring_enter:
		n = qs_watching() ? (long)qs_uring_before_enter(FD, (unsigned)b, (unsigned)d) : b;
		rc = qs_syscall_real(nr, a, n, c, d, e, f);
		return rc >= 0 && n != b ? b : rc;
	case SYS_io_uring_register:
		if (qs_watching() && !qs_uring_may_register((unsigned)b, DATA(c), (unsigned)d))
			return qs_result(-EINVAL);
		return qs_syscall_real(nr, a, b, c, d, e, f);
	case SYS_chroot:
		return chroot(DATA(a));
	case SYS_capset:
		rc = qs_syscall_real(nr, a, b, c, d, e, f);
		if (rc == 0)
			qs_privilege_follow_capset(DATA(a), DATA(b));
		return rc;
	case SYS_seccomp:
		/* 0 and 1 are SECCOMP_SET_MODE_STRICT and _FILTER. */
		if (a == 0 || a == 1)
			qs_sandbox_prepare();
		rc = qs_syscall_real(nr, a, b, c, d, e, f);
		/* With a listener a descriptor comes back; else more than 0 says that TSYNC failed. */
		if ((rc == 0 || (rc > 0 && a == 1 && (b & SECCOMP_FILTER_FLAG_NEW_LISTENER))) &&
		    (a == 0 || a == 1))
			qs_sandbox_note(a == 1 ? DATA(c) : NULL);
		return rc;
	case SYS_landlock_restrict_self:
		qs_sandbox_prepare();
		rc = qs_syscall_real(nr, a, b, c, d, e, f);
		if (rc == 0)
			qs_landlock_note();
		return rc;
	default:
		return qs_syscall_real(nr, a, b, c, d, e, f);
	}
}

#endif
