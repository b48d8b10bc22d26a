/* SPDX-License-Identifier: MIT */
/* Binds the functions behind the shim, and stands in for them until it has. */
#include "real.h"

#include "raw.h"
#include "syscall.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

/*
 * Theory. Another library's constructor may call us before our own constructor has run, and an
 * allocator's initialisation may do so inside dlsym(). Neither may recurse or crash, so the table is
 * never NULL: it starts with these stand-ins. dlsym() of a symbol that libc has allocates nothing.
 * -z initfirst would not do: libc's own initialisation (environ) must come before ours.
 */

void qs_sys_pause_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

#ifdef SYS_nanosleep
	qs_raw(SYS_nanosleep, &t, 0, 0, 0);
#else
	nanosleep(&t, NULL);
#endif
}

static int early_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (int)qs_result(qs_sys_connect(fd, addr, len));
}

static int early_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return (int)qs_result(qs_sys_bind(fd, addr, len));
}

static int early_listen(int fd, int backlog)
{
	return (int)qs_result(qs_sys_listen(fd, backlog));
}

static int early_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return (int)qs_result(qs_raw(SYS_accept4, fd, addr, len, flags));
}

static int early_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return early_accept4(fd, addr, len, 0);
}

static int early_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return (int)qs_result(qs_sys_getsockname(fd, addr, len));
}

static int early_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return (int)qs_result(qs_sys_getpeername(fd, addr, len));
}

static int early_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return (int)qs_result(qs_sys_getsockopt(fd, level, name, value, len));
}

static int early_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return (int)qs_result(qs_sys_setsockopt(fd, level, name, value, len));
}

static int early_shutdown(int fd, int how)
{
	return (int)qs_result(qs_raw(SYS_shutdown, fd, how, 0, 0));
}

static int early_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)qs_result(qs_raw(SYS_ioctl, fd, request, arg, 0));
}

static int early_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return (int)qs_result(qs_raw(SYS_epoll_ctl, epfd, op, fd, event));
}

static int early_prctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return (int)qs_result(qs_raw6(SYS_prctl, op, (long)a, (long)b, (long)c, (long)d, 0));
}

static int early_chroot(const char *path)
{
	return (int)qs_result(qs_raw(SYS_chroot, path, 0, 0, 0));
}

/* Before libc has begun there is but one thread. */
static int early_setuid(uid_t uid)
{
	return (int)qs_result(qs_raw(SYS_setuid, uid, 0, 0, 0));
}

static int early_setreuid(uid_t real, uid_t effective)
{
	return (int)qs_result(qs_raw(SYS_setreuid, real, effective, 0, 0));
}

static int early_setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return (int)qs_result(qs_raw(SYS_setresuid, real, effective, saved, 0));
}

static int early_capset(void *header, const void *data)
{
	return (int)qs_result(qs_raw(SYS_capset, header, data, 0, 0));
}

static ssize_t early_read(int fd, void *buf, size_t len)
{
	return qs_result(qs_raw(SYS_read, fd, buf, len, 0));
}

static ssize_t early_readv(int fd, const struct iovec *iov, int n)
{
	return qs_result(qs_raw(SYS_readv, fd, iov, n, 0));
}

static ssize_t early_preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	return qs_result(qs_raw6(SYS_preadv2, fd, (long)iov, n, offset, 0, flags));
}

static ssize_t early_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
			      socklen_t *addr_len)
{
	return qs_result(
		qs_raw6(SYS_recvfrom, fd, (long)buf, (long)len, flags, (long)addr, (long)addr_len));
}

static ssize_t early_recv(int fd, void *buf, size_t len, int flags)
{
	return early_recvfrom(fd, buf, len, flags, NULL, NULL);
}

static ssize_t early_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return qs_result(qs_sys_recvmsg(fd, msg, flags));
}

static int early_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags,
			  struct timespec *timeout)
{
	return (int)qs_result(
		qs_raw6(SYS_recvmmsg, fd, (long)msgs, (long)n, flags, (long)timeout, 0));
}

static ssize_t early_read_chk(int fd, void *buf, size_t len, size_t size)
{
	if (len > size)
		qs_real.abort();
	return early_read(fd, buf, len);
}

static ssize_t early_recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
	if (len > size)
		qs_real.abort();
	return early_recv(fd, buf, len, flags);
}

static ssize_t early_recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags,
				  struct sockaddr *addr, socklen_t *addr_len)
{
	if (len > size)
		qs_real.abort();
	return early_recvfrom(fd, buf, len, flags, addr, addr_len);
}

static ssize_t early_write(int fd, const void *buf, size_t len)
{
	return qs_result(qs_sys_write(fd, buf, len));
}

static ssize_t early_writev(int fd, const struct iovec *iov, int n)
{
	return qs_result(qs_raw(SYS_writev, fd, iov, n, 0));
}

static ssize_t early_pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	return qs_result(qs_raw6(SYS_pwritev2, fd, (long)iov, n, offset, 0, flags));
}

static ssize_t early_sendfile(int out, int in, off_t *offset, size_t len)
{
	return qs_result(qs_raw(SYS_sendfile, out, in, offset, len));
}

static ssize_t early_splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t len,
			    unsigned flags)
{
	return qs_result(
		qs_raw6(SYS_splice, in, (long)in_offset, out, (long)out_offset, (long)len, flags));
}

static ssize_t early_sendto(int fd, const void *buf, size_t len, int flags,
			    const struct sockaddr *addr, socklen_t addr_len)
{
	return qs_result(
		qs_raw6(SYS_sendto, fd, (long)buf, (long)len, flags, (long)addr, (long)addr_len));
}

static ssize_t early_send(int fd, const void *buf, size_t len, int flags)
{
	return early_sendto(fd, buf, len, flags, NULL, 0);
}

static ssize_t early_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return qs_result(qs_sys_sendmsg(fd, msg, flags));
}

static int early_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	return (int)qs_result(qs_raw(SYS_sendmmsg, fd, msgs, n, flags));
}

static int early_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			     struct addrinfo **out)
{
	qs_real_bind();
	return qs_real.getaddrinfo != early_getaddrinfo
		       ? qs_real.getaddrinfo(node, service, hints, out)
		       : EAI_FAIL;
}

static struct hostent *early_gethostbyname(const char *name)
{
	qs_real_bind();
	return qs_real.gethostbyname != early_gethostbyname ? qs_real.gethostbyname(name) : NULL;
}

static struct hostent *early_gethostbyname2(const char *name, int family)
{
	qs_real_bind();
	return qs_real.gethostbyname2 != early_gethostbyname2 ? qs_real.gethostbyname2(name, family)
							      : NULL;
}

static int early_gethostbyname_r(const char *name, struct hostent *ret, char *buf, size_t len,
				 struct hostent **out, int *error)
{
	qs_real_bind();
	return qs_real.gethostbyname_r != early_gethostbyname_r
		       ? qs_real.gethostbyname_r(name, ret, buf, len, out, error)
		       : ENOENT;
}

static int early_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buf,
				  size_t len, struct hostent **out, int *error)
{
	qs_real_bind();
	return qs_real.gethostbyname2_r != early_gethostbyname2_r
		       ? qs_real.gethostbyname2_r(name, family, ret, buf, len, out, error)
		       : ENOENT;
}

static int early_execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)qs_result(qs_raw(SYS_execve, path, argv, envp, 0));
}

static int early_execveat(int fd, const char *path, char *const argv[], char *const envp[],
			  int flags)
{
	return (int)qs_result(
		qs_raw6(SYS_execveat, fd, (long)path, (long)argv, (long)envp, flags, 0));
}

static int early_fexecve(int fd, char *const argv[], char *const envp[])
{
	return early_execveat(fd, "", argv, envp, AT_EMPTY_PATH);
}

static int early_execv(const char *path, char *const argv[])
{
	return early_execve(path, argv, environ);
}

static int early_execvp(const char *file, char *const argv[])
{
	qs_real_bind();
	return qs_real.execvp != early_execvp ? qs_real.execvp(file, argv)
					      : early_execv(file, argv);
}

static int early_execvpe(const char *file, char *const argv[], char *const envp[])
{
	qs_real_bind();
	return qs_real.execvpe != early_execvpe ? qs_real.execvpe(file, argv, envp)
						: early_execve(file, argv, envp);
}

static int early_daemon(int nochdir, int noclose)
{
	qs_real_bind();
	return qs_real.daemon != early_daemon ? qs_real.daemon(nochdir, noclose)
					      : (int)qs_result(-ENOSYS);
}

__attribute__((noreturn)) static void early_exit(int status)
{
	for (;;)
		qs_raw(SYS_exit_group, status, 0, 0, 0);
}

__attribute__((noreturn)) static void early_abort(void)
{
	for (;;) {
		long pid = qs_raw(SYS_getpid, 0, 0, 0, 0), tid = qs_raw(SYS_gettid, 0, 0, 0, 0);

		qs_raw(SYS_tgkill, pid, tid, SIGABRT, 0);
		qs_raw(SYS_exit_group, 127, 0, 0, 0);
	}
}

__attribute__((noreturn)) static void early_assert_fail(const char *what, const char *file,
							unsigned line, const char *function)
{
	(void)file;
	(void)line;
	(void)function;
	qs_sys_write(STDERR_FILENO, what, strlen(what));
	qs_real.abort();
}

__attribute__((noreturn)) static void early_assert_perror_fail(int error, const char *file,
							       unsigned line, const char *function)
{
	(void)error;
	early_assert_fail("assert_perror", file, line, function);
}

struct qs_real qs_real = {
	.connect = early_connect,
	.bind = early_bind,
	.listen = early_listen,
	.accept = early_accept,
	.accept4 = early_accept4,
	.getsockname = early_getsockname,
	.getpeername = early_getpeername,
	.getsockopt = early_getsockopt,
	.setsockopt = early_setsockopt,
	.shutdown = early_shutdown,
	.ioctl = early_ioctl,
	.epoll_ctl = early_epoll_ctl,
	.prctl = early_prctl,
	.chroot = early_chroot,
	.setuid = early_setuid,
	.setreuid = early_setreuid,
	.setresuid = early_setresuid,
	.capset = early_capset,
	.read = early_read,
	.readv = early_readv,
	.preadv2 = early_preadv2,
	.recv = early_recv,
	.recvfrom = early_recvfrom,
	.recvmsg = early_recvmsg,
	.recvmmsg = early_recvmmsg,
	.read_chk = early_read_chk,
	.recv_chk = early_recv_chk,
	.recvfrom_chk = early_recvfrom_chk,
	.write = early_write,
	.writev = early_writev,
	.pwritev2 = early_pwritev2,
	.send = early_send,
	.sendto = early_sendto,
	.sendmsg = early_sendmsg,
	.sendmmsg = early_sendmmsg,
	.sendfile = early_sendfile,
	.splice = early_splice,
	.getaddrinfo = early_getaddrinfo,
	.gethostbyname = early_gethostbyname,
	.gethostbyname2 = early_gethostbyname2,
	.gethostbyname_r = early_gethostbyname_r,
	.gethostbyname2_r = early_gethostbyname2_r,
	.execve = early_execve,
	.execv = early_execv,
	.execvp = early_execvp,
	.execvpe = early_execvpe,
	.fexecve = early_fexecve,
	.execveat = early_execveat,
	.daemon = early_daemon,
	.exit_now = early_exit,
	.abort = early_abort,
	.assert_fail = early_assert_fail,
	.assert_perror_fail = early_assert_perror_fail,
};

/* A pointer that dlsym() gives goes into a function pointer by its bits: C knows no cast for that. */
static void bind_one(void *slot, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found)
		memcpy(slot, &found, sizeof(found));
}

#define BIND(field) bind_one(&qs_real.field, #field)

void qs_real_bind(void)
{
	static atomic_bool bound;

	if (atomic_exchange(&bound, true))
		return;
	BIND(connect);
	BIND(bind);
	BIND(listen);
	BIND(accept);
	BIND(accept4);
	BIND(getsockname);
	BIND(getpeername);
	BIND(getsockopt);
	BIND(setsockopt);
	BIND(shutdown);
	BIND(ioctl);
	BIND(epoll_ctl);
	BIND(prctl);
	BIND(chroot);
	BIND(setuid);
	BIND(setreuid);
	BIND(setresuid);
	BIND(capset);
	BIND(read);
	BIND(readv);
	BIND(preadv2);
	BIND(recv);
	BIND(recvfrom);
	BIND(recvmsg);
	BIND(recvmmsg);
	bind_one(&qs_real.read_chk, "__read_chk");
	bind_one(&qs_real.recv_chk, "__recv_chk");
	bind_one(&qs_real.recvfrom_chk, "__recvfrom_chk");
	BIND(write);
	BIND(writev);
	BIND(pwritev2);
	BIND(send);
	BIND(sendto);
	BIND(sendmsg);
	BIND(sendmmsg);
	BIND(sendfile);
	BIND(splice);
	BIND(getaddrinfo);
	BIND(gethostbyname);
	BIND(gethostbyname2);
	BIND(gethostbyname_r);
	BIND(gethostbyname2_r);
	BIND(execve);
	BIND(execv);
	BIND(execvp);
	BIND(execvpe);
	BIND(fexecve);
	BIND(execveat);
	BIND(daemon);
	bind_one(&qs_real.exit_now, "_exit");
	BIND(abort);
#if QS_HAS_SYSCALL
	bind_one(&qs_syscall_real, "syscall");
#endif
	bind_one(&qs_real.assert_fail, "__assert_fail");
	bind_one(&qs_real.assert_perror_fail, "__assert_perror_fail");
	qs_stdio_bind();
}
