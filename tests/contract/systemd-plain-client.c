/* SPDX-License-Identifier: MIT */
/* LISTEN_FDS, and clients by plain TCP: they are reset while the service is mapped, and its manager's listener,
 * which is the same socket, goes on. */
#include "harness.h"

#define CHANNEL 4 /* from the stranger to the service */
#define STRANGERS 3

static bool mapped;

/* The reset may be there before connect() is awake again: then connect() says it, and reading says nothing more. */
static int call(int port, bool *was_reset)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd = ct_socket(AF_INET, 0);

	*was_reset = connect(fd, SA(&addr)) < 0;
	CHECK(!*was_reset || (mapped && errno == ECONNRESET));
	return fd;
}

/* Of the manager's, without the preload: a client, and who else holds the listener. */
static void be_stranger(int port)
{
	int fd, own = -1;
	bool was_reset;
	char byte;

	for (int i = 0; i < STRANGERS; i++) {
		ssize_t n;

		fd = call(port, &was_reset);
		if (!was_reset) {
			n = read(fd, &byte, 1);
			CHECK(mapped ? n < 0 && errno == ECONNRESET : n == 1 && byte == 'x');
		}
		close(fd);
	}
	CHECK(write(CHANNEL, "", 1) == 1);
	/* When the service has let go the listener is the manager's alone, and works. */
	ct_nonblock(3, true);
	while (own < 0) {
		struct pollfd readable = {.fd = 3, .events = POLLIN};

		fd = call(port, &was_reset);
		MUST(poll(&readable, 1, 20)); /* or the engine has it */
		own = accept(3, NULL, NULL);
		CHECK(own >= 0 || errno == EAGAIN);
		close(fd);
	}
	exit(0);
}

static void manage(void)
{
	const char *preload = getenv("CT_SAVED_PRELOAD");
	int channel[2];
	char number[16];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	channel[0] = MUST(fcntl(channel[0], F_DUPFD, 20));
	channel[1] = MUST(fcntl(channel[1], F_DUPFD, 20));
	MUST(dup2(ct_bound(AF_INET), 3));
	MUST(listen(3, 5));
	MUST(dup2(channel[1], CHANNEL));
	if (fork() == 0)
		be_stranger(ct_port(3));
	MUST(dup2(channel[0], CHANNEL));
	close(channel[0]);
	close(channel[1]);
	if (*preload != '\0')
		setenv("LD_PRELOAD", preload, 1);
	setenv("LISTEN_FDS", "1", 1);
	sprintf(number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	ct_exec_self("service");
}

static void be_service(void)
{
	int status;
	char byte;

	ct_as("service");
	ct_prove(3);
	for (int i = 0; !mapped && i < STRANGERS; i++) {
		int fd = ct_accept(3);

		CHECK(write(fd, "x", 1) == 1);
		CHECK(read(fd, &byte, 1) == 0);
		close(fd);
	}
	CHECK(read(CHANNEL, &byte, 1) == 1);
	close(3);
	MUST(wait(&status));
	ct_note("the stranger %s", status == 0 ? "is content" : "is not");
}

int main(void)
{
	const char *preload = getenv("LD_PRELOAD");
	pid_t pid;

	ct_init();
	mapped = getenv("QS_EXPECT_MAPPED") != NULL;
	if (ct_role() != NULL) {
		if (strcmp(ct_role(), "manager") == 0)
			manage();
		be_service();
		return 0;
	}
	pid = ct_fork("manager");
	if (pid == 0) {
		setenv("CT_SAVED_PRELOAD", preload != NULL ? preload : "", 1);
		unsetenv("LD_PRELOAD");
		ct_exec_self("manager");
	}
	ct_reap(pid);
	return 0;
}
