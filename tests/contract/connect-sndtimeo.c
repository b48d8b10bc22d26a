/* SPDX-License-Identifier: MIT */
/* SO_SNDTIMEO bounds a blocking connect: EINPROGRESS, and the attempt goes on. */
#include "harness.h"

int main(void)
{
	struct timeval limit = {.tv_usec = 200000};
	struct ct_addr nobody;
	int fd;

	ct_init_own_net();
	nobody = ct_addr_of("203.0.113.1", 80);
	fd = ct_socket(AF_INET, 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	TRY(connect(fd, SA(&nobody)));
	ct_prove(fd);
	TRY(connect(fd, SA(&nobody)));
	ct_poll(fd, POLLOUT, 0);
	TRY(close(fd));
	return 0;
}
