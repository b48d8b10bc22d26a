/* SPDX-License-Identifier: MIT */
/* The two ends of our syscall(2) that its instructions and real.c must see. */
#ifndef QS_SYSCALL_H
#define QS_SYSCALL_H

#if defined(__x86_64__) && defined(__LP64__)
#define QS_HAS_SYSCALL 1
typedef long qs_syscall_fn(long, long, long, long, long, long, long);
extern qs_syscall_fn *qs_syscall_real;
long qs_syscall_dispatch(long nr, long a, long b, long c, long d, long e, long f);
#else
#define QS_HAS_SYSCALL 0
#endif

#endif
