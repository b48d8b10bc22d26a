/* SPDX-License-Identifier: MIT */
/* A filter that has nothing against us: all goes on, the news of a reset too. */
#include "seccomp.h"

int main(void)
{
	static const int forbidden[] = {SYS_swapon, SYS_reboot, -1};
	struct ct_addr addr;
	int listener, fd, peer;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_name_port(ct_port(listener), "SERVER");
	seccomp_on(forbidden, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
	fd = ct_connect(AF_INET, ct_port(listener));
	peer = ct_accept(listener);
	addr = ct_remote(fd);
	ct_note("peer %s", ct_addr_text(&addr));
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	MUST(setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			sizeof(struct linger)));
	close(peer);
	TRY(read(fd, (char[8]){0}, 1));
	TRY(read(fd, (char[8]){0}, 1));
	return 0;
}
