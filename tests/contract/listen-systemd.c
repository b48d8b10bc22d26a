/* SPDX-License-Identifier: MIT */
/* LISTEN_FDS: a manager that is not preloaded opened the listener; the preloaded service serves. */
#include "harness.h"

/* The manager: no preload, a plain TCP listener as descriptor 3, then exec of the service. */
static void manage(void)
{
	const char *preload = getenv("CT_SAVED_PRELOAD");
	struct ct_addr addr = ct_loopback(AF_INET, 0);
	int fd = ct_socket(AF_INET, 0), port;
	char number[16];

	MUST(bind(fd, SA(&addr)));
	MUST(listen(fd, 5));
	port = ct_port(fd);
	CHECK(write(STDIN_FILENO, &port, sizeof(port)) == sizeof(port));
	if (fd != 3)
		MUST(dup2(fd, 3));
	if (*preload != '\0')
		setenv("LD_PRELOAD", preload, 1);
	setenv("LISTEN_FDS", "1", 1);
	sprintf(number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	ct_exec_self("service");
}

static void serve(void)
{
	int fd;

	ct_as("service");
	fd = ct_accept(3);
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(read(fd, (char[8]){0}, 1));
}

int main(void)
{
	const char *preload = getenv("LD_PRELOAD");
	int channel[2], port, fd;
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		if (strcmp(ct_role(), "manager") == 0)
			manage();
		serve();
		return 0;
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("manager");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		close(3);
		setenv("CT_SAVED_PRELOAD", preload != NULL ? preload : "", 1);
		unsetenv("LD_PRELOAD");
		ct_exec_self("manager");
	}
	close(channel[1]);
	CHECK(ct_read_full(channel[0], &port, sizeof(port)) == sizeof(port));
	ct_await_service(port);
	fd = ct_connect(AF_INET, port);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(fd, (char[8]){0}, 5));
	close(fd);
	ct_reap(pid);
	return 0;
}
