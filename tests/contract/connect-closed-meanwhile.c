/* SPDX-License-Identifier: MIT */
/* A descriptor that is closed, and its number given away, while another thread connects it: what has the number stays. */
#include "harness.h"

#include <stddef.h>
#include <sys/un.h>
#include <time.h>

/*
 * Mapped, the thread must be held while it talks to the engine, which the program itself plays: it takes the engine's
 * name, and lets the queue be full.
 */
static int engine = -1, waiting = -1, port;
static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1;

static void take_name(void)
{
	const char *identity = getenv("QUICSHIM_ENGINE");

	if (identity == NULL)
		return;
	len += (socklen_t)snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1,
				   "quicshim/%.16s/stream", identity);
	engine = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(engine, (struct sockaddr *)&name, len));
	MUST(listen(engine, 0));
}

static void *run(void *argument)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);

	ct_as("thread");
	ct_note("connect failed %d", connect(*(int *)argument, SA(&addr)) < 0);
	return NULL;
}

/* A thread that connects, and has looked at the descriptor already. */
static pthread_t begin(int *fd)
{
	pthread_t thread;

	if (engine >= 0) {
		waiting = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		MUST(connect(waiting, (struct sockaddr *)&name, len));
	}
	*fd = ct_socket(AF_INET, 0);
	thread = ct_thread(run, fd);
	if (engine >= 0)
		ct_await_blocked(thread);
	return thread;
}

static void end(pthread_t thread)
{
	struct timespec limit;
	int connection = -1;

	if (engine >= 0) {
		close(MUST(accept(engine, NULL, NULL)));
		connection = MUST(accept(engine, NULL, NULL));
	}
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += CT_LONG / 4;
	ct_note("it ended %d", pthread_timedjoin_np(thread, NULL, &limit) == 0);
	close(connection);
	close(waiting);
}

static void another_file(void)
{
	struct stat st;
	int fd, file;
	pthread_t thread = begin(&fd);

	close(fd);
	file = MUST(open("file", O_RDWR | O_CREAT, 0600));
	CHECK(file == fd);
	end(thread);
	MUST(fstat(file, &st));
	ct_note("the file is one %d", S_ISREG(st.st_mode) != 0);
	TRY(write(file, "hello", 5));
	close(file);
}

/* As run-time systems do who close a descriptor under a thread that waits. */
static void a_marker(void)
{
	int fd, marker[2];
	pthread_t thread;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, marker));
	thread = begin(&fd);
	MUST(dup2(marker[0], fd));
	end(thread);
	TRY(write(fd, "x", 1));
	TRY(recv(marker[1], (char[8]){0}, 8, MSG_DONTWAIT));
	close(fd);
}

static void nothing(void)
{
	int fd;
	pthread_t thread = begin(&fd);

	close(fd);
	end(thread);
	TRY(fcntl(fd, F_GETFD));
}

int main(void)
{
	int pair[2];

	ct_init();
	take_name();
	port = ct_closed_port();
	another_file();
	a_marker();
	nothing();
	if (engine >= 0)
		close(engine);
	ct_pair(pair);
	TRY(write(pair[0], "x", 1));
	TRY(read(pair[1], (char[8]){0}, 1));
	return 0;
}
