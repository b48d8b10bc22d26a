/* SPDX-License-Identifier: MIT */
/* accept with what it can't use: the errno of TCP, and what becomes of the connection. */
#include "harness.h"

int main(void)
{
	struct ct_addr seen = {.len = sizeof(seen.ss)};
	socklen_t negative = (socklen_t)-1;
	int listener;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	ct_connect(AF_INET, ct_port(listener));
	TRY(accept(listener, (struct sockaddr *)&seen.ss, &negative));
	ct_connect(AF_INET, ct_port(listener));
	TRY(accept4(listener, NULL, NULL, 0x40000000));
	TRY(accept(listener, NULL, NULL) >= 0);
	ct_connect(AF_INET, ct_port(listener));
	TRY(accept(listener, (struct sockaddr *)&seen.ss, &seen.len) >= 0);
	ct_note("length %u", (unsigned)seen.len);
	return 0;
}
