/* SPDX-License-Identifier: MIT */
/* Filters that refuse what we need with an errno: a connect that the policy names is refused too. */
#include "seccomp.h"

static void no_unix(int fd, const struct ct_addr *server)
{
	seccomp_no_family(AF_UNIX, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	seccomp_refused(fd, server);
	_exit(0);
}

static void no_getsockopt(int fd, const struct ct_addr *server)
{
	static const int list[] = {SYS_getsockopt, -1};

	seccomp_on(list, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
	seccomp_refused(fd, server);
	_exit(0);
}

static void no_dup3(int fd, const struct ct_addr *server)
{
	static const int list[] = {SYS_dup3, -1};

	seccomp_on(list, SECCOMP_RET_TRAP, SECCOMP_RET_ALLOW);
	seccomp_refused(fd, server);
	_exit(0);
}

static void play(const char *actor, void (*child)(int fd, const struct ct_addr *server),
		 const struct ct_addr *server)
{
	int fd = ct_socket(AF_INET, 0);
	pid_t pid = ct_fork(actor);

	if (pid == 0)
		child(fd, server);
	ct_reap(pid);
	close(fd);
}

int main(void)
{
	struct ct_addr server;
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	play("no-unix", no_unix, &server);
	play("no-getsockopt", no_getsockopt, &server);
	play("no-dup3", no_dup3, &server);
	return 0;
}
