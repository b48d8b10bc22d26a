/* SPDX-License-Identifier: MIT */
/* A filter that comes with a listener: the call that sets it gives a descriptor, not 0, and it kills all the same. */
#include "seccomp.h"

int main(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = COUNT(code), .filter = code};
	int pair[2], status;
	pid_t pid;

	ct_init();
	ct_pair(pair);
	MUST(shutdown(pair[1], SHUT_WR));
	ct_await(pair[0], POLLIN);
	pid = ct_fork("confined");
	if (pid == 0) {
		MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &filter) < 0)
			_exit(77);
		TRY(read(pair[0], (char[8]){0}, 8));
		TRY(write(pair[0], "x", 1));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		ct_skip("no listener for a seccomp filter");
	ct_note("it went on: %d", WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}
