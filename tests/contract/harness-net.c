/* SPDX-License-Identifier: MIT */
/* A network namespace of our own, with a hole in it that swallows packets. */
#include "harness.h"

#include <net/if.h>
#include <net/route.h>
#include <sched.h>

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ct_skip("no user namespace for a network of our own");
	close(fd);
}

/* A namespace in which we may set up the network; a user namespace too when we are not root. */
static void unshare_net(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWNET) == 0)
		return;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		ct_skip("no network namespace of our own");
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", map);
}

static void set_address(int fd, const char *interface, const char *address)
{
	struct ct_addr addr = ct_addr_of(address, 0);
	struct ifreq request = {.ifr_flags = 0};

	strcpy(request.ifr_name, interface);
	memcpy(&request.ifr_addr, &addr.ss, sizeof(request.ifr_addr));
	MUST(ioctl(fd, SIOCSIFADDR, &request));
}

void ct_net_add(const char *address)
{
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	set_address(fd, "lo:9", address);
	close(fd);
}

void ct_init_own_net(void)
{
	struct ct_addr network = ct_addr_of("203.0.113.0", 0),
		       mask = ct_addr_of("255.255.255.0", 0);
	struct rtentry route = {.rt_flags = RTF_UP};
	struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
	static char loopback[] = "lo";
	int fd;

	ct_init();
	if (getenv("CT_OWN_NET") != NULL)
		return;
	unshare_net();
	fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	strcpy(request.ifr_name, loopback);
	MUST(ioctl(fd, SIOCSIFFLAGS, &request));
	set_address(fd, "lo:1", "198.51.100.1");
	/* What is sent there comes back in, is nobody's, and is dropped without a word. */
	memcpy(&route.rt_dst, &network.ss, sizeof(route.rt_dst));
	memcpy(&route.rt_genmask, &mask.ss, sizeof(route.rt_genmask));
	route.rt_dev = loopback;
	MUST(ioctl(fd, SIOCADDRT, &route));
	close(fd);
	/* Begin again, so that all that the shim knows it learns in here. */
	MUST(setenv("CT_OWN_NET", "1", 1));
	unsetenv("QUICSHIM_ENGINE");
	ct_exec_self("own-net");
}

void ct_await_service(int port)
{
	struct ct_addr addr = ct_loopback(AF_INET, port);
	int fd, tries = 0;

	if (getenv("QS_EXPECT_MAPPED") == NULL)
		return;
	/* A port that is free answers with an ICMP error, which the next call tells. */
	fd = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(connect(fd, SA(&addr)));
	for (; tries < 3000; tries++) {
		if (send(fd, "", 1, 0) == 1) {
			usleep(20000);
			if (send(fd, "", 1, 0) == 1)
				break;
		}
		usleep(1000);
	}
	CHECK(tries < 3000);
	close(fd);
}
