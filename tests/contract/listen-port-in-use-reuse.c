/* SPDX-License-Identifier: MIT */
/* SO_REUSEADDR does not let a second server listen beside the first. */
#include "harness.h"

static int server(struct ct_addr *addr)
{
	int fd = ct_socket(AF_INET, 0), on = 1;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	/* TCP says so at bind; a program must be ready to hear it from either call. */
	if (bind(fd, SA(addr)) == 0 && listen(fd, 5) == 0)
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

int main(void)
{
	struct ct_addr addr;
	int first, second, peer;
	pid_t pid;

	ct_init();
	addr = ct_loopback(AF_INET, 0);
	first = server(&addr);
	CHECK(first >= 0);
	ct_prove(first);
	addr = ct_local(first);
	TRY(server(&addr));
	pid = ct_fork("child");
	if (pid == 0) {
		TRY(server(&addr));
		_exit(0);
	}
	ct_reap(pid);

	/* The first is unharmed, and after a connection its port can be taken again at once. */
	second = ct_connect(AF_INET, ct_port(first));
	peer = ct_accept(first);
	TRY(ct_write_full(second, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	close(first);
	TRY(server(&addr) >= 0);
	return 0;
}
