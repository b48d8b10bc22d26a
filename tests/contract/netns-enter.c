/* SPDX-License-Identifier: MIT */
/* Another network namespace: old connections go on, new ones are of the new one. */
#include "harness.h"

#include <net/if.h>
#include <sched.h>

static void play(const char *when, int fd, int peer)
{
	ct_note("%s", when);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
}

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	MUST(ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

int main(void)
{
	struct ct_addr addr;
	int listener, pair[2], fd, peer, port;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	port = ct_port(listener);
	pair[0] = ct_connect(AF_INET, port);
	pair[1] = ct_accept(listener);
	play("before", pair[0], pair[1]);
	if (unshare(CLONE_NEWNET) < 0)
		ct_skip("no network namespace to be had");
	loopback_up();
	play("after", pair[0], pair[1]);
	fd = ct_socket(AF_INET, 0);
	/* The listener is one of the old namespace. */
	addr = ct_loopback(AF_INET, port);
	TRY(connect(fd, SA(&addr)));
	close(fd);
	listener = ct_listener(AF_INET, 5);
	fd = ct_connect(AF_INET, ct_port(listener));
	peer = ct_accept(listener);
	play("new", fd, peer);
	play("old", pair[0], pair[1]);
	close(pair[0]);
	TRY(read(pair[1], (char[8]){0}, 1));
	return 0;
}
