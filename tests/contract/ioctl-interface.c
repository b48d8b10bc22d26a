/* SPDX-License-Identifier: MIT */
/* What any socket is asked about the machine's interfaces. */
#include "harness.h"

#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>

int main(void)
{
	struct ifreq request = {0};
	struct sockaddr_in *addr = (struct sockaddr_in *)&request.ifr_addr;
	struct arpreq neighbour = {.arp_dev = "lo"};
	struct ifconf list = {0};
	struct timeval when;
	int pair[2], listener, n = 0;

	ct_init();
	ct_pair(pair);
	strcpy(request.ifr_name, "lo");
	TRY(ioctl(pair[0], SIOCGIFFLAGS, &request));
	TRY(ioctl(pair[0], SIOCGIFINDEX, &request));
	TRY(ioctl(pair[0], SIOCGIFMTU, &request));
	TRY(ioctl(pair[0], SIOCGIFHWADDR, &request));
	errno = 0;
	TRY(ioctl(pair[0], SIOCGIFADDR, &request));
	ct_note("127.0.0.1: %d, errno %d", addr->sin_addr.s_addr == htonl(INADDR_LOOPBACK), errno);
	TRY(ioctl(pair[0], SIOCGIFNETMASK, &request));
	ct_note("/8: %d", addr->sin_addr.s_addr == htonl(0xff000000));
	TRY(ioctl(pair[1], SIOCGIFBRDADDR, &request));
	TRY(ioctl(pair[1], SIOCGIFDSTADDR, &request));
	TRY(ioctl(pair[1], SIOCGIFCONF, &list));
	addr = (struct sockaddr_in *)&neighbour.arp_pa;
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(0x7f000063);
	TRY(ioctl(pair[1], SIOCGARP, &neighbour));
	strcpy(request.ifr_name, "nosuch0");
	TRY(ioctl(pair[1], SIOCGIFADDR, &request));
	TRY(ioctl(pair[1], SIOCGSTAMP, &when));
	TRY(ioctl(pair[1], 0x89ef, &request));
	TRY(ioctl(pair[1], 0x5419, &n));
	listener = ct_listener(AF_INET6, 1);
	ct_prove(listener);
	strcpy(request.ifr_name, "lo");
	TRY(ioctl(listener, SIOCGIFADDR, &request));
	TRY(ioctl(listener, SIOCGIFNETMASK, &request));
	return 0;
}
