/* SPDX-License-Identifier: MIT */
/* LISTEN_FDS with names: two listeners, of two families, beside a datagram socket that is left alone. */
#include "harness.h"

#define FDS 3

static void manage(void)
{
	const char *preload = getenv("CT_SAVED_PRELOAD");
	int ports[2], fds[FDS];
	char number[16];
	struct ct_addr addr;

	addr = ct_loopback(AF_INET, 0);
	fds[0] = ct_bound(AF_INET);
	fds[1] = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(bind(fds[1], SA(&addr)));
	fds[2] = ct_bound(AF_INET6);
	MUST(listen(fds[0], 5));
	MUST(listen(fds[2], 5));
	ports[0] = ct_port(fds[0]);
	ports[1] = ct_port(fds[2]);
	CHECK(write(STDIN_FILENO, ports, sizeof(ports)) == sizeof(ports));
	for (int i = 0; i < FDS; i++)
		fds[i] = MUST(fcntl(fds[i], F_DUPFD, 20));
	for (int i = 0; i < FDS; i++)
		MUST(dup2(fds[i], 3 + i));
	for (int i = 0; i < FDS; i++)
		close(fds[i]);
	if (*preload != '\0')
		setenv("LD_PRELOAD", preload, 1);
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_FDNAMES", "four:datagrams:six", 1);
	sprintf(number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	ct_exec_self("service");
}

static void serve(int listener)
{
	struct ct_addr local = ct_local(listener);
	int fd = ct_accept(listener);

	ct_note("local family %d", local.ss.ss_family);
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, (char[8]){0}, 1));
	close(fd);
}

static void be_service(void)
{
	socklen_t size = sizeof(int);
	int type = 0;

	ct_as("service");
	ct_note("names %s of %s", getenv("LISTEN_FDNAMES"), getenv("LISTEN_FDS"));
	serve(3);
	serve(5);
	TRY(getsockopt(4, SOL_SOCKET, SO_TYPE, &type, &size));
	ct_note("datagrams %d", type == SOCK_DGRAM);
}

static void ask(int family, int port)
{
	int fd = ct_connect(family, port);

	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	close(fd);
}

int main(void)
{
	const char *preload = getenv("LD_PRELOAD");
	int channel[2], ports[2];
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		if (strcmp(ct_role(), "manager") == 0)
			manage();
		be_service();
		return 0;
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("manager");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		setenv("CT_SAVED_PRELOAD", preload != NULL ? preload : "", 1);
		unsetenv("LD_PRELOAD");
		ct_exec_self("manager");
	}
	close(channel[1]);
	CHECK(ct_read_full(channel[0], ports, sizeof(ports)) == sizeof(ports));
	ct_await_service(ports[0]);
	ask(AF_INET, ports[0]);
	ask(AF_INET6, ports[1]);
	ct_reap(pid);
	return 0;
}
