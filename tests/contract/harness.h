/* SPDX-License-Identifier: MIT */
/* What the contract programs share: the trace, the proof of mapping, and two ends that play. */
#ifndef QS_CONTRACT_HARNESS_H
#define QS_CONTRACT_HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A contract program does one thing to TCP sockets and writes a *trace* of what it saw to standard
 * output. run-one runs it on plain TCP and again mapped, and compares the traces. So a trace line
 * never holds what may differ between two runs: pids, times, port numbers, how much one read gave.
 * Lines are written in one write(2) each and begin with the actor's name; run-one sorts them by
 * actor, so two ends may write at once, but what one actor writes keeps its order.
 *
 * Exit status: 0 the program ran (the trace decides), 2 a step that is not the subject failed,
 * 3 a descriptor was not mapped as the runner expects, 77 the machine lacks something.
 */

/* Runs CALL, writes "actor: CALL = result ERRNO" to the trace, gives the result. */
#define TRY(call) ct_trace(#call, (long)(call))

/* Runs CALL, which is not the subject and must not return a negative number. No trace. */
#define MUST(call) ct_must(#call, (long)(call), __FILE__, __LINE__)

/* Ends the program with status 2 unless CONDITION holds. No trace. */
#define CHECK(condition) ((void)ct_must(#condition, (condition) ? 0 : -1, __FILE__, __LINE__))

/* For calls that take an address and its length. */
#define SA(a) ((struct sockaddr *)&(a)->ss), (a)->len

/* What must come is waited for so long: it only ends a hang, however loaded the machine. Seconds, milliseconds. */
#define CT_LONG 60
#define CT_LONG_MS (CT_LONG * 1000)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct ct_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* Where the server plays. */
enum ct_place {
	CT_THREAD, /* a thread of this process */
	CT_FORK, /* a forked child: another process, the same engine */
	CT_APART, /* a fresh program with an engine of its own */
};

/* Starts a program: the time limit, unhandled SIGPIPE ignored. First line of each main. */
void ct_init(void);

/* Like ct_init, in a network namespace of its own. There 203.0.113.0/24 swallows every packet,
 * 198.51.100.1 is local, and all else beyond loopback has no route. Exits 77 if not permitted. */
void ct_init_own_net(void);

/* Gives loopback of ct_init_own_net one more address. */
void ct_net_add(const char *address);

/* Names the actor of the calling thread. Threads and children start with their parent's. */
void ct_as(const char *actor);

/* Writes one line to the trace. */
void ct_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The functions behind the macros above. */
long ct_trace(const char *call, long result);
int ct_must(const char *call, long result, const char *file, int line);

/* Says why on standard error and exits with 77. */
_Noreturn void ct_skip(const char *why);

/* Exits with 3 unless FD is mapped when the runner asks for mapping, and TCP when it does not. Either
 * will do when connections fall back. */
void ct_prove(int fd);

/* "IN|OUT|HUP", "-" for nothing. The same bits serve poll and epoll. */
const char *ct_event_names(uint32_t events);

/* Polls FD until all events of WANT are there (at most CT_LONG) and notes every event that is. */
void ct_events(int fd, short want);

/* Polls FD for WANT with TIMEOUT_MS once and notes the result. */
void ct_poll(int fd, short want, int timeout_ms);

/* Waits (at most CT_LONG) until FD has one of the events; no trace. */
void ct_await(int fd, short events);

/* Reads and notes SO_ERROR. */
void ct_so_error(int fd);

/* Gives a port number a name in the trace. Others are "PORT", 0 is "0". */
void ct_name_port(int port, const char *name);

/* "127.0.0.1:NAME". The string lasts until the fourth next call. */
const char *ct_addr_text(const struct ct_addr *addr);

/* An address from text; the loopback address of a family. */
struct ct_addr ct_addr_of(const char *text, int port);
struct ct_addr ct_loopback(int family, int port);

/* getsockname and getpeername; they must succeed. */
struct ct_addr ct_local(int fd);
struct ct_addr ct_remote(int fd);

int ct_addr_port(const struct ct_addr *addr);
int ct_port(int fd);

/* Sockets by loopback; all must succeed, and the last three are proved. FLAGS as for socket(2). */
int ct_socket(int family, int flags);
int ct_bound(int family);
int ct_listener(int family, int backlog);
int ct_connect(int family, int port);
int ct_accept(int listener);

/* A port of 127.0.0.1 on which nobody listens; stays reserved while the program runs. */
int ct_closed_port(void);

/* Connects to ADDR, where nobody listens any more, and notes whether that was refused: by connect
 * or, since a warm QUIC connection lets connect succeed before the peer has said anything, by the
 * first read. connect-refused-warm is the test of that difference. */
void ct_refused(const struct ct_addr *addr);

/* Both ends of one connection in this process: pair[0] the client's, pair[1] the accepted one. */
void ct_pair(int pair[2]);

/* Reads or writes N bytes, over several calls if need be. Returns the bytes done, or -1 and errno
 * when none was. A read stops at the end. */
ssize_t ct_read_full(int fd, void *buffer, size_t n);
ssize_t ct_write_full(int fd, const void *buffer, size_t n);

/* Reads until the end and returns the count, or -1 and errno. */
ssize_t ct_read_to_end(int fd);

/* N bytes of a stream that SEED names, from OFFSET on (a multiple of 8). */
void ct_pattern(void *buffer, size_t n, uint64_t offset, uint64_t seed);

/* Writes, or reads and compares, N bytes of that stream. Return N, or -1 (and errno EBADMSG when
 * the content is wrong, ENODATA when it ends early). */
int64_t ct_send_pattern(int fd, int64_t n, uint64_t seed);
int64_t ct_recv_pattern(int fd, int64_t n, uint64_t seed);

/* Writes until no byte has room for 250 ms; FD must be non-blocking. Returns the bytes written. */
int64_t ct_fill(int fd, uint64_t seed);
/* The same, where OFFSET bytes of the stream have been written before. */
int64_t ct_fill_on(int fd, int64_t offset, uint64_t seed);

void ct_nonblock(int fd, bool on);

/* Passes FD by SCM_RIGHTS over an AF_UNIX socket; and what comes so. */
void ct_give(int channel, int fd);
int ct_take(int channel);

/* A handler for NUMBER that does nothing. FLAGS as for sigaction. */
void ct_catch(int number, int flags);

/* Sends NUMBER to THREAD again and again until ct_pester_end. */
void ct_pester(pthread_t thread, int number);
void ct_pester_end(void);

/* fork and pthread_create with the actor's name and a time limit set; and their ends. ct_reap notes
 * nothing and demands status 0. */
pid_t ct_fork(const char *actor);
void ct_reap(pid_t pid);
pthread_t ct_thread(void *(*run)(void *), void *argument);

/*
 * Waits until a thread of ct_thread's, or the first thread of the program, sleeps in a call on a socket: reading,
 * writing, accepting, connecting or polling. No trace.
 */
void ct_await_blocked(pthread_t thread);
void ct_join(pthread_t thread);

/*
 * Two ends. SERVER runs in PLACE with a connection that it accepted, CLIENT in this process with
 * one that it made. They close what they are given, or leave it to the end of the process; the
 * server's process ends when the client has returned. Returns the exit status for main, which must
 * do nothing before but ct_init, since CT_APART runs it again.
 */
int ct_play(enum ct_place place, void (*server)(int fd), void (*client)(int fd));

/* The same with the listener and its port. */
int ct_play_listen(enum ct_place place, void (*server)(int listener), void (*client)(int port));

/* Between the two ends of a play: say something, wait for the other to say something, or both. */
void ct_tell(void);
void ct_hear(void);
void ct_meet(void);

/* The process in which the server of CT_FORK or CT_APART plays, for the client. */
pid_t ct_server_pid(void);

/* The server was ended on purpose: ct_play must not mind how. */
void ct_server_may_die(void);

/* Replaces the process by PROGRAM itself with ROLE as its first argument; NULL else. ct_role gives
 * that argument in the new one. */
_Noreturn void ct_exec_self(const char *role);
const char *ct_role(void);

/* Raw getsockopt without libc, for what the shim must not see. */
long ct_raw_getsockopt(int fd, int level, int option, void *value, socklen_t *size);

/* Waits (at most a minute) until a service that is mapped before main has its UDP port on 127.0.0.1. On plain TCP the
 * manager's backlog takes us at once. */
void ct_await_service(int port);

/*
 * Notes WHAT and what each thread of this process may do, once; and what the engine of LISTENER may
 * do, if it is one of its own: it must be no more. A difference is noted, with both. Waits at most
 * a minute for the engine where AT_ONCE is false.
 */
void ct_privileges(const char *what, int listener, bool at_once);

/* The same of the process PID, for one that does not see /proc any more. */
void ct_privileges_of(pid_t pid, const char *what, int listener, bool at_once);

/* The capabilities of this thread, permitted and effective; none is inheritable. */
int ct_capset(uint64_t keep);

#endif
