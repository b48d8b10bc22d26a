/* SPDX-License-Identifier: MIT */
/* System calls that nothing interposes: no errno, no cancellation point, no libc. Results are >= 0
 * or -errno. */
#ifndef QS_RAW_H
#define QS_RAW_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long qs_raw6(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__) && defined(__LP64__)
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__) && defined(__LP64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
#else
	int saved = errno;
	long ret = syscall(nr, a, b, c, d, e, f);

	if (ret < 0)
		ret = -errno;
	errno = saved;
	return ret;
#endif
}

#define qs_raw(nr, a, b, c, d) qs_raw6(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* The way to libc: turns >= 0 or -errno into a return value and errno. */
static inline long qs_result(long value)
{
	if (value >= 0)
		return value;
	errno = (int)-value;
	return -1;
}

static inline int qs_sys_socket(int family, int type, int protocol)
{
	return (int)qs_raw(SYS_socket, family, type, protocol, 0);
}

static inline int qs_sys_close(int fd)
{
	return (int)qs_raw(SYS_close, fd, 0, 0, 0);
}

static inline int qs_sys_bind(int fd, const void *addr, socklen_t len)
{
	return (int)qs_raw(SYS_bind, fd, addr, len, 0);
}

static inline int qs_sys_listen(int fd, int backlog)
{
	return (int)qs_raw(SYS_listen, fd, backlog, 0, 0);
}

static inline int qs_sys_connect(int fd, const void *addr, socklen_t len)
{
	return (int)qs_raw(SYS_connect, fd, addr, len, 0);
}

static inline int qs_sys_dup3(int from, int to, int flags)
{
	return (int)qs_raw(SYS_dup3, from, to, flags, 0);
}

static inline int qs_sys_fcntl(int fd, int cmd, long arg)
{
	return (int)qs_raw(SYS_fcntl, fd, cmd, arg, 0);
}

static inline int qs_sys_getsockname(int fd, void *addr, socklen_t *len)
{
	return (int)qs_raw(SYS_getsockname, fd, addr, len, 0);
}

static inline int qs_sys_getpeername(int fd, void *addr, socklen_t *len)
{
	return (int)qs_raw(SYS_getpeername, fd, addr, len, 0);
}

static inline int qs_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return (int)qs_raw6(SYS_getsockopt, fd, level, name, (long)value, (long)len, 0);
}

static inline int qs_sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return (int)qs_raw6(SYS_setsockopt, fd, level, name, (long)value, (long)len, 0);
}

static inline long qs_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return qs_raw(SYS_sendmsg, fd, msg, flags, 0);
}

static inline long qs_sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return qs_raw(SYS_recvmsg, fd, msg, flags, 0);
}

static inline long qs_sys_write(int fd, const void *data, size_t len)
{
	return qs_raw(SYS_write, fd, data, len, 0);
}

/* Sleeps; ends early at a signal. */
void qs_sys_pause_ms(unsigned ms);

#endif
