/* SPDX-License-Identifier: MIT */
/* Nobody answers: ETIMEDOUT, for a blocking connect and a non-blocking one. */
#include "harness.h"

int main(void)
{
	struct ct_addr nobody;
	int blocking, other, tries = 1;

	ct_init_own_net();
	/* run-one's policy limits the handshake with this half of the network to a second. */
	nobody = ct_addr_of("203.0.113.200", 80);
	blocking = ct_socket(AF_INET, 0);
	other = ct_socket(AF_INET, SOCK_NONBLOCK);
	MUST(setsockopt(blocking, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries)));
	MUST(setsockopt(other, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries)));
	TRY(connect(other, SA(&nobody)));
	TRY(connect(blocking, SA(&nobody)));
	ct_prove(other);
	ct_events(other, POLLOUT | POLLERR | POLLHUP);
	ct_so_error(other);
	ct_so_error(blocking);
	return 0;
}
