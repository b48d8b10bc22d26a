/* SPDX-License-Identifier: MIT */
/* The system calls that a seccomp filter is tried on, by what they are for. */
#include "sandbox_calls.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SO_MAX_PACING_RATE
#define SO_MAX_PACING_RATE 47
#endif

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define CALL(name) SYS_##name, #name

/*
 * Left out is what the app makes itself in that moment (exec, exit, bind before a listen of its own), and what is not
 * made any more once a filter is on (faccessat, getcpu, a socket's signals: state.h, filtered).
 */
static const struct qs_own_call looks[] = {
	{CALL(getsockopt), {3, SOL_SOCKET, SO_MAX_PACING_RATE}, "sock.c: whether it is mapped"},
	{CALL(setsockopt), {3, SOL_SOCKET, SO_MAX_PACING_RATE}, "sock.c: marks what was accepted"},
	{CALL(setsockopt), {3, SOL_SOCKET, SO_SNDBUF}, "accept.c: the size of its buffer"},
	{CALL(getsockopt),
	 {3, SOL_SOCKET, SO_PEERCRED},
	 "ask.c, sock.c, accept.c: who is at the other end"},
	{CALL(getsockopt),
	 {3, IPPROTO_TCP, TCP_INFO},
	 "sock.c: whether it is a TCP socket, and its state"},
	{CALL(getpeername), {3}, "sock.c: the record of the other end"},
	{CALL(getsockname), {3}, "attempt.c, listen.c: what the policy is asked about"},
	{CALL(fcntl), {3, F_GETFL}, "attempt.c, listen.c: O_NONBLOCK, for the new socket"},
	{CALL(ppoll), {0, 1}, "connect.c, accept.c: whether it is up, or its listener shut down"},
	{CALL(geteuid), {0}, "ask.c, accept.c: whose engine it must be"},
};

static const struct qs_own_call asks[] = {
	{CALL(socket),
	 {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC},
	 "attempt.c: what takes the place of a TCP socket"},
	{CALL(socket), {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC}, "ask.c: a request"},
	{CALL(socket), {AF_INET, SOCK_DGRAM | SOCK_CLOEXEC}, "target.c: whether there is a route"},
	{CALL(setsockopt), {3, SOL_SOCKET, SO_RCVTIMEO}, "ask.c: no answer is an error"},
	{CALL(setsockopt), {3, SOL_SOCKET, SO_SNDBUF}, "attempt.c: unwritable until it is up"},
	{CALL(getsockopt), {3, IPPROTO_IPV6, IPV6_V6ONLY}, "attempt.c: what it may reach"},
	{CALL(socketpair),
	 {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC},
	 "attempt.c: mode prefer, the way back of a TCP socket"},
	{CALL(connect), {3}, "ask.c, attempt.c: to the engine"},
	{CALL(accept4), {3}, "shutdown.c: what a listener's queue holds is reset"},
	{CALL(shutdown), {3}, "attempt.c: mode prefer, an interrupted connect"},
	{CALL(uname), {0}, "names.c: the host's own name; uring.c: what a NOP can tell"},
	{CALL(sendmsg), {3}, "ask.c, attempt.c: a request and its descriptors"},
	{CALL(recvmsg), {3}, "ask.c: an answer"},
	{CALL(getsockopt),
	 {3, SOL_SOCKET, SO_COOKIE},
	 "sock.c: whether it is still the app's socket"},
	{CALL(dup3), {3, 4, O_CLOEXEC}, "sock.c: in the place of the app's descriptor"},
	{CALL(fcntl), {3, F_SETFL}, "option.c, listen.c: O_NONBLOCK, as it was"},
	{CALL(close), {3}, "ask.c: the request's socket"},
	{CALL(epoll_ctl), {3, 1, 4}, "epoll.c: registrations move with the descriptor"},
	{CALL(getuid), {0}, "ask.c: whose engine it may be"},
	{CALL(getpid), {0}, "exit.c, listen.c: which process this is"},
	{CALL(mmap),
	 {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3},
	 "pages.c, uring_ring.c: the pages, or a ring"},
	{CALL(munmap), {0}, "uring_ring.c: a ring that was looked at"},
	{CALL(newfstatat), {3}, "pages.c: the size of a page file"},
	{CALL(fstat), {3}, "pages.c: the same, of other versions of libc"},
	{CALL(nanosleep), {0}, "ask.c, attempt.c: an engine that starts or is crowded"},
	{CALL(tgkill), {0}, "../engine/outlive.c: the engine thread is called"},
	{CALL(futex), {0}, "../engine/outlive.c: and waited for"},
};

static const struct qs_own_call spawns[] = {
	{CALL(clone), {CLONE_VM | CLONE_VFORK}, "spawn.c: the child that no wait() sees"},
	{CALL(execve), {0}, "spawn.c: the engine's program"},
	{CALL(wait4), {0}, "spawn.c: that child is collected"},
	{CALL(exit), {0}, "spawn.c: its end"},
	{CALL(bind), {3}, "spawn.c: the engine's names"},
	{CALL(listen), {3}, "spawn.c: its sockets"},
	{CALL(openat), {0}, "spawn.c: /dev/null for its first three descriptors"},
	{CALL(setsid), {0}, "spawn.c: a session of its own"},
	{CALL(chdir), {0}, "spawn.c: no folder is held"},
	{CALL(close_range), {3, ~0u}, "spawn.c: none of the app's descriptors"},
	{CALL(prlimit64), {0, RLIMIT_NOFILE}, "spawn.c: its limits are its own"},
	{CALL(rt_sigaction), {1}, "spawn.c: none of its handlers"},
	{CALL(rt_sigprocmask), {0}, "spawn.c: no signal in between"},
	{CALL(prctl),
	 {PR_GET_CHILD_SUBREAPER},
	 "spawn.c: the orphan must not come back to the app"},
	{CALL(mmap),
	 {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS},
	 "spawn.c: the child's stack"},
	{CALL(munmap), {0}, "spawn.c: and its end"},
};

static const struct qs_own_call probes[] = {
	{CALL(socket),
	 {AF_INET, SOCK_STREAM | SOCK_CLOEXEC},
	 "landlock.c: one that is connected to nobody"},
	{CALL(listen), {3}, "landlock.c: because it listens"},
	{CALL(connect), {3}, "landlock.c: the question"},
};

static const struct qs_own_call says[] = {
	{CALL(write), {2}, "complain.c: the line"},
	{CALL(fcntl), {2, F_GETFL}, "complain.c: whether it can be written to"},
	{CALL(newfstatat), {2}, "complain.c: whether it is a place for messages"},
	{CALL(fstat), {2}, "complain.c: the same, of other versions of libc"},
};

const struct qs_own_call *qs_own_calls(enum qs_own_calls kind, size_t *n)
{
#define LIST(calls)                                                                                \
	{                                                                                          \
		calls, sizeof(calls) / sizeof((calls)[0])                                          \
	}
	static const struct {
		const struct qs_own_call *calls;
		size_t n;
	} lists[QS_CALLS_MAX] = {[QS_CALLS_LOOK] = LIST(looks),
				 [QS_CALLS_ASK] = LIST(asks),
				 [QS_CALLS_SPAWN] = LIST(spawns),
				 [QS_CALLS_PROBE] = LIST(probes),
				 [QS_CALLS_SAY] = LIST(says)};
#undef LIST

	*n = lists[kind].n;
	return lists[kind].calls;
}
