/* SPDX-License-Identifier: MIT */
/* A master of root whose workers drop: they serve, and the master can still do what root can. */
#include "harness.h"

#include <grp.h>
#include <sys/prctl.h>

#define NOBODY 65534
#define LOW_PORT 23 /* of 127.0.0.1; this program has a network of its own */

static void work(int listener)
{
	int peer;

	TRY(setgroups(0, NULL));
	TRY(setgid(NOBODY));
	TRY(setuid(NOBODY));
	TRY(setuid(0));
	peer = ct_accept(listener);
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	_exit(0);
}

static void serve(int listener, const char *actor)
{
	pid_t pid = ct_fork(actor);
	int fd;

	if (pid == 0)
		work(listener);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	ct_reap(pid);
	close(fd);
}

int main(void)
{
	struct ct_addr low = ct_addr_of("127.0.0.1", LOW_PORT);
	int listener, second;

	if (geteuid() != 0)
		ct_skip("not root");
	ct_init_own_net();
	listener = ct_listener(AF_INET, 5);
	serve(listener, "worker");
	/* As at a reload: a new port below 1024. */
	second = ct_socket(AF_INET, 0);
	TRY(bind(second, SA(&low)));
	TRY(listen(second, 5));
	ct_prove(second);
	serve(second, "worker-two");
	ct_privileges("master", listener, true);
	return 0;
}
