/* SPDX-License-Identifier: MIT */
/* Moving patterns, signals, and two ends that play together in one process or two. */
#include "harness.h"

#include <stdatomic.h>
#include <sys/syscall.h>

struct started {
	void *(*run)(void *);
	void *argument;
	pthread_t thread;
	atomic_int tid;
	struct started *next;
};

static struct started *all_started;
static pid_t server_pid;
static bool server_may_die;
static _Thread_local int meet_fd = -1;
static struct {
	pthread_t thread, target;
	int number;
	volatile bool end;
} pester;

ssize_t ct_read_full(int fd, void *buffer, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t part = read(fd, (char *)buffer + done, n - done);

		if (part < 0)
			return done > 0 ? (ssize_t)done : -1;
		if (part == 0)
			break;
		done += (size_t)part;
	}
	return (ssize_t)done;
}

ssize_t ct_write_full(int fd, const void *buffer, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t part = write(fd, (const char *)buffer + done, n - done);

		if (part < 0)
			return done > 0 ? (ssize_t)done : -1;
		done += (size_t)part;
	}
	return (ssize_t)done;
}

ssize_t ct_read_to_end(int fd)
{
	char buffer[65536];
	ssize_t total = 0, part;

	while ((part = read(fd, buffer, sizeof(buffer))) > 0)
		total += part;
	return part < 0 ? -1 : total;
}

void ct_pattern(void *buffer, size_t n, uint64_t offset, uint64_t seed)
{
	uint64_t word, index = offset / 8;
	char *out = buffer;

	for (size_t i = 0; i < n; i += 8, index++) {
		word = (index ^ (seed << 48)) * 0x9e3779b97f4a7c15u;
		word ^= word >> 29;
		memcpy(out + i, &word, n - i < 8 ? n - i : 8);
	}
}

int64_t ct_send_pattern(int fd, int64_t n, uint64_t seed)
{
	char buffer[65536];
	ssize_t want;

	for (int64_t done = 0; done < n; done += want) {
		want = n - done < (int64_t)sizeof(buffer) ? n - done : (int64_t)sizeof(buffer);
		ct_pattern(buffer, (size_t)want, (uint64_t)done, seed);
		if (ct_write_full(fd, buffer, (size_t)want) != want)
			return -1;
	}
	return n;
}

int64_t ct_recv_pattern(int fd, int64_t n, uint64_t seed)
{
	char buffer[65536], expected[65536];
	ssize_t want, got;

	for (int64_t done = 0; done < n; done += want) {
		want = n - done < (int64_t)sizeof(buffer) ? n - done : (int64_t)sizeof(buffer);
		got = ct_read_full(fd, buffer, (size_t)want);
		if (got < 0)
			return -1;
		if (got != want) {
			errno = ENODATA;
			return -1;
		}
		ct_pattern(expected, (size_t)want, (uint64_t)done, seed);
		if (memcmp(buffer, expected, (size_t)want) != 0) {
			errno = EBADMSG;
			return -1;
		}
	}
	return n;
}

/* Writes pieces of SIZE bytes until one does not go. Returns the bytes done. */
static int64_t fill_with(int fd, size_t size, int64_t offset, uint64_t seed)
{
	char block[4096];
	int64_t done = 0;
	ssize_t n;

	do {
		/* A block always starts at a multiple of 8, wherever the last write stopped. */
		size_t skip = (size_t)((offset + done) % 8);

		ct_pattern(block, sizeof(block), (uint64_t)(offset + done) - skip, seed);
		n = write(fd, block + skip, size > skip ? size - skip : 1);
		done += n > 0 ? n : 0;
	} while (n > 0);
	CHECK(errno == EAGAIN);
	return done;
}

int64_t ct_fill(int fd, uint64_t seed)
{
	return ct_fill_on(fd, 0, seed);
}

int64_t ct_fill_on(int fd, int64_t offset, uint64_t seed)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int64_t done = 0, before;

	/*
	 * TCP has room for much before it says POLLOUT again: big pieces first, for one byte costs as much time as a
	 * big one. Buffers further on may make room, of which POLLOUT says nothing while it is little: it is full when
	 * a while has brought none for a single byte.
	 */
	do {
		poll(&p, 1, done > 0 ? 250 : 0);
		before = done;
		for (size_t size = 4096; size > 0; size /= 64)
			done += fill_with(fd, size, offset + done, seed);
	} while (done > before);
	return done;
}

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

void ct_give(int channel, int fd)
{
	union control control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {&(char){0}, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	CHECK(sendmsg(channel, &message, 0) == 1);
}

int ct_take(int channel)
{
	union control control;
	struct iovec iov = {&(char){0}, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd;

	CHECK(recvmsg(channel, &message, 0) == 1);
	CHECK(message.msg_controllen >= CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

void ct_nonblock(int fd, bool on)
{
	int flags = MUST(fcntl(fd, F_GETFL));

	MUST(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

static void ignore_signal(int number)
{
	(void)number;
}

void ct_catch(int number, int flags)
{
	struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = flags};

	MUST(sigaction(number, &action, NULL));
}

static void *pester_run(void *argument)
{
	(void)argument;
	while (!pester.end) {
		usleep(50000);
		if (!pester.end)
			pthread_kill(pester.target, pester.number);
	}
	return NULL;
}

void ct_pester(pthread_t thread, int number)
{
	pester.target = thread;
	pester.number = number;
	pester.end = false;
	CHECK(pthread_create(&pester.thread, NULL, pester_run, NULL) == 0);
}

void ct_pester_end(void)
{
	pester.end = true;
	pthread_join(pester.thread, NULL);
}

pid_t ct_fork(const char *actor)
{
	pid_t pid = MUST(fork());

	if (pid == 0) {
		ct_init();
		ct_as(actor);
	}
	return pid;
}

void ct_reap(pid_t pid)
{
	int status = 0;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		exit(WEXITSTATUS(status));
	CHECK(WIFEXITED(status));
}

static void *run_started(void *argument)
{
	struct started *started = argument;

	started->tid = (pid_t)syscall(SYS_gettid);
	return started->run(started->argument);
}

pthread_t ct_thread(void *(*run)(void *), void *argument)
{
	struct started *started = calloc(1, sizeof(*started));

	CHECK(started != NULL);
	*started = (struct started){.run = run, .argument = argument, .next = all_started};
	CHECK(pthread_create(&started->thread, NULL, run_started, started) == 0);
	/* Known by the thread that starts them: nobody else asks. */
	all_started = started;
	return started->thread;
}

/* Of which the kernel says that it sleeps, and in what. */
static bool is_blocked(pid_t tid)
{
	static const long calls[] = {
		SYS_read,   SYS_readv,	 SYS_recvfrom,	  SYS_recvmsg,	SYS_write,
		SYS_writev, SYS_sendto,	 SYS_sendmsg,	  SYS_accept,	SYS_accept4,
		SYS_ppoll,  SYS_connect, SYS_epoll_pwait, SYS_pselect6, SYS_recvmmsg,
#ifdef SYS_poll
		SYS_poll,   SYS_select,	 SYS_epoll_wait,
#endif
	};
	char path[64], state = 0;
	long call = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "re");
	if (file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (file != NULL)
		fclose(file);
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	file = state == 'S' ? fopen(path, "re") : NULL;
	if (file != NULL && fscanf(file, "%ld", &call) != 1)
		call = -1;
	if (file != NULL)
		fclose(file);
	for (size_t i = 0; i < COUNT(calls); i++) {
		if (call == calls[i])
			return true;
	}
	return false;
}

void ct_await_blocked(pthread_t thread)
{
	const struct started *started = all_started;
	pid_t tid = getpid();

	while (started != NULL && !pthread_equal(started->thread, thread))
		started = started->next;
	if (access("/proc/self/syscall", R_OK) != 0) {
		usleep(500000); /* nothing tells */
		return;
	}
	for (int i = 0; i < CT_LONG_MS; i++) {
		if (started != NULL)
			tid = started->tid;
		if (tid != 0 && is_blocked(tid))
			return;
		usleep(1000);
	}
	CHECK(!"the thread blocks");
}

void ct_join(pthread_t thread)
{
	CHECK(pthread_join(thread, NULL) == 0);
}

void ct_tell(void)
{
	CHECK(send(meet_fd, "", 1, MSG_NOSIGNAL) == 1);
}

void ct_hear(void)
{
	char byte;

	CHECK(recv(meet_fd, &byte, 1, 0) == 1);
}

void ct_meet(void)
{
	ct_tell();
	ct_hear();
}

pid_t ct_server_pid(void)
{
	return server_pid;
}

void ct_server_may_die(void)
{
	server_may_die = true;
}

void ct_exec_self(const char *role)
{
	static char name[] = "contract";
	char *argv[] = {name, NULL};

	MUST(setenv("CT_ROLE", role, 1));
	execv("/proc/self/exe", argv);
	ct_must("execv", -1, __FILE__, __LINE__);
	abort();
}

const char *ct_role(void)
{
	return getenv("CT_ROLE");
}

struct server {
	void (*run)(int listener);
	int meet;
};

/* Listens, tells the port, plays. */
static void serve(const struct server *server)
{
	int listener, port;

	meet_fd = server->meet;
	ct_as("server");
	listener = ct_listener(AF_INET, 128);
	port = ct_port(listener);
	CHECK(send(meet_fd, &port, sizeof(port), 0) == sizeof(port));
	server->run(listener);
}

static void *serve_thread(void *argument)
{
	serve(argument);
	return NULL;
}

static void serve_in_child(const struct server *server)
{
	char byte;

	serve(server);
	/* How a process ends is a subject of its own: stay until the client has seen all it wants. */
	while (recv(meet_fd, &byte, 1, 0) > 0)
		continue;
	exit(0);
}

static void reap_server(void)
{
	int status = 0;

	CHECK(waitpid(server_pid, &status, 0) == server_pid);
	if (server_may_die)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		exit(WEXITSTATUS(status));
	CHECK(WIFEXITED(status));
}

int ct_play_listen(enum ct_place place, void (*run)(int listener), void (*client)(int port))
{
	struct server server = {.run = run};
	const char *forced = getenv("CT_PLACE");
	pthread_t thread = 0;
	char number[16];
	int ends[2], port;

	if (ct_role() != NULL && strcmp(ct_role(), "apart") == 0) {
		server.meet = atoi(getenv("CT_MEET"));
		MUST(fcntl(server.meet, F_SETFD, FD_CLOEXEC));
		serve_in_child(&server);
	}
	if (forced != NULL && place != CT_THREAD)
		place = strcmp(forced, "apart") == 0 ? CT_APART : CT_FORK;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	server.meet = ends[1];
	meet_fd = ends[0];
	if (place == CT_THREAD) {
		thread = ct_thread(serve_thread, &server);
	} else {
		server_pid = ct_fork("server");
		if (server_pid == 0) {
			close(ends[0]);
			if (place == CT_FORK)
				serve_in_child(&server);
			MUST(fcntl(ends[1], F_SETFD, 0));
			sprintf(number, "%d", ends[1]);
			setenv("CT_MEET", number, 1);
			unsetenv("QUICSHIM_ENGINE");
			ct_exec_self("apart");
		}
		close(ends[1]);
	}
	ct_as("client");
	if (recv(meet_fd, &port, sizeof(port), MSG_WAITALL) != sizeof(port)) {
		reap_server(); /* it says why, and exits */
		return 2;
	}
	ct_name_port(port, "SERVER");
	client(port);
	if (place == CT_THREAD) {
		ct_join(thread);
	} else {
		shutdown(meet_fd, SHUT_WR);
		reap_server();
	}
	return 0;
}

static void (*conn_server)(int fd);
static void (*conn_client)(int fd);

static void serve_conn(int listener)
{
	int fd = ct_accept(listener);

	close(listener);
	conn_server(fd);
}

static void connect_conn(int port)
{
	conn_client(ct_connect(AF_INET, port));
}

int ct_play(enum ct_place place, void (*server)(int fd), void (*client)(int fd))
{
	conn_server = server;
	conn_client = client;
	return ct_play_listen(place, serve_conn, connect_conn);
}
