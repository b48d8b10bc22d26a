/* SPDX-License-Identifier: MIT */
/* What a program gives up in system calls and files, and the engine that it may need afterwards. */
#ifndef QS_SANDBOX_H
#define QS_SANDBOX_H

/*
 * Before a seccomp filter or chroot(2): where the policy may still match, an engine is started, and stays
 * while this process lives.
 */
void qs_sandbox_prepare(void);

/*
 * A filter is on (R7): `filter` as the app gave it (a struct sock_fprog), NULL = only read, write and exit
 * are left. What of our own calls would end the program is not made any more.
 */
void qs_sandbox_note(const void *filter);

#endif
