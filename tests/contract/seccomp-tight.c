/* SPDX-License-Identifier: MIT */
/* A filter that kills at whatever the program does not do itself: what is open goes on, nothing new. */
#include "seccomp.h"

static const int allowed[] = {SYS_read,	   SYS_write,	 SYS_sendto,	   SYS_recvfrom,
			      SYS_close,   SYS_connect,	 SYS_socket,	   SYS_accept,
			      SYS_accept4, SYS_shutdown, SYS_exit_group,   SYS_brk,
			      SYS_mmap,	   SYS_munmap,	 SYS_rt_sigreturn, SYS_restart_syscall,
			      -1};

static void confined(int listener, const struct ct_addr *server, int fd, int fresh)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};
	int peer;

	seccomp_on(allowed, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
	peer = accept(listener, (struct sockaddr *)&addr.ss, &addr.len);
	ct_note("accepted %d, family %d", peer >= 0, addr.ss.ss_family);
	TRY(write(fd, "hello", 5));
	TRY(read(peer, (char[8]){0}, 5));
	TRY(send(peer, "again", 5, 0));
	TRY(recv(fd, (char[8]){0}, 5, MSG_WAITALL));
	seccomp_refused(fresh, server);
	TRY(shutdown(fd, SHUT_WR));
	TRY(read(peer, (char[8]){0}, 1));
	TRY(write(-1, "x", 1));
	_exit(0);
}

int main(void)
{
	struct ct_addr server;
	int listener, fd, fresh;
	pid_t pid;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	fd = ct_connect(AF_INET, ct_port(listener));
	fresh = ct_socket(AF_INET, 0);
	pid = ct_fork("confined");
	if (pid == 0)
		confined(listener, &server, fd, fresh);
	ct_reap(pid);
	return 0;
}
