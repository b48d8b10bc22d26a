/* SPDX-License-Identifier: MIT */
/* The functions that the shim stands in front of: libc's, or those of another preload library
 * behind us. */
#ifndef QS_REAL_H
#define QS_REAL_H

#include <netdb.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

/* On each function that stands in front of libc's; libquicshim.map lists them. */
#define QS_EXPORT __attribute__((visibility("default")))

/*
 * Before qs_real_bind() has run, each pointer leads to a plain system call (the resolver functions:
 * to a stub that binds first), so a thunk may use it at any time. Cancellation points as in libc.
 */
struct qs_real {
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	int (*listen)(int, int);
	int (*accept)(int, struct sockaddr *, socklen_t *);
	int (*accept4)(int, struct sockaddr *, socklen_t *, int);
	int (*getsockname)(int, struct sockaddr *, socklen_t *);
	int (*getpeername)(int, struct sockaddr *, socklen_t *);
	int (*getsockopt)(int, int, int, void *, socklen_t *);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	int (*shutdown)(int, int);
	int (*ioctl)(int, unsigned long, void *);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*prctl)(int, unsigned long, unsigned long, unsigned long, unsigned long);

	int (*chroot)(const char *);
	int (*setuid)(uid_t);
	int (*setreuid)(uid_t, uid_t);
	int (*setresuid)(uid_t, uid_t, uid_t);
	int (*capset)(void *, const void *);

	ssize_t (*read)(int, void *, size_t);
	ssize_t (*readv)(int, const struct iovec *, int);
	ssize_t (*preadv2)(int, const struct iovec *, int, off_t, int);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	int (*recvmmsg)(int, struct mmsghdr *, unsigned, int, struct timespec *);
	ssize_t (*read_chk)(int, void *, size_t, size_t);
	ssize_t (*recv_chk)(int, void *, size_t, size_t, int);
	ssize_t (*recvfrom_chk)(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);

	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*pwritev2)(int, const struct iovec *, int, off_t, int);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*sendmmsg)(int, struct mmsghdr *, unsigned, int);
	ssize_t (*sendfile)(int, int, off_t *, size_t);
	ssize_t (*splice)(int, off64_t *, int, off64_t *, size_t, unsigned);

	int (*getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct hostent *(*gethostbyname)(const char *);
	struct hostent *(*gethostbyname2)(const char *, int);
	int (*gethostbyname_r)(const char *, struct hostent *, char *, size_t, struct hostent **,
			       int *);
	int (*gethostbyname2_r)(const char *, int, struct hostent *, char *, size_t,
				struct hostent **, int *);

	int (*execve)(const char *, char *const[], char *const[]);
	int (*execv)(const char *, char *const[]);
	int (*execvp)(const char *, char *const[]);
	int (*execvpe)(const char *, char *const[], char *const[]);
	int (*fexecve)(int, char *const[], char *const[]);
	int (*execveat)(int, const char *, char *const[], char *const[], int);
	int (*daemon)(int, int);
	void (*exit_now)(int) __attribute__((noreturn)); /* _exit */

	void (*abort)(void) __attribute__((noreturn));
	void (*assert_fail)(const char *, const char *, unsigned, const char *)
		__attribute__((noreturn));
	void (*assert_perror_fail)(int, const char *, unsigned, const char *)
		__attribute__((noreturn));
};
extern struct qs_real qs_real;

/* Binds all of them; the second time it does nothing. Allocates nothing. Not async-signal-safe. */
void qs_real_bind(void);
/* Its part for the streams of stdio. */
void qs_stdio_bind(void);

#endif
