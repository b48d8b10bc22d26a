/* SPDX-License-Identifier: MIT */
/* A socket that is neither connected nor listening; then it is connected as if nothing had been. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)};
	int fd;

	ct_init();
	fd = ct_socket(AF_INET, 0);
	ct_events(fd, POLLHUP);
	TRY(read(fd, (char[8]){0}, 1));
	TRY(recv(fd, (char[8]){0}, 1, MSG_DONTWAIT));
	TRY(write(fd, "x", 1));
	TRY(getpeername(fd, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(shutdown(fd, SHUT_WR));
	TRY(accept(fd, NULL, NULL));
	addr = ct_local(fd);
	ct_note("local %s", ct_addr_text(&addr));
	addr = ct_loopback(AF_INET, ct_port(ct_listener(AF_INET, 5)));
	TRY(connect(fd, SA(&addr)));
	ct_prove(fd);
	return 0;
}
