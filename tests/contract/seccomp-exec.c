/* SPDX-License-Identifier: MIT */
/* A program that is started under a filter without close_range: the engine starts under it as well. */
#include "seccomp.h"

int main(void)
{
	static const int list[] = {SYS_close_range, -1};
	int listener, fd;
	pid_t pid;

	ct_init();
	if (ct_role() == NULL) {
		pid = ct_fork("filtered");
		if (pid == 0) {
			/* A tree of its own, with an engine of its own. */
			unsetenv("QUICSHIM_ENGINE");
			seccomp_on(list, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
			ct_exec_self("filtered");
		}
		ct_reap(pid);
		return 0;
	}
	ct_as("filtered");
	listener = ct_listener(AF_INET, 5);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
