/* SPDX-License-Identifier: MIT */
/* A listener closed with connections unaccepted: those are reset, the accepted one lives. */
#include "harness.h"

int main(void)
{
	struct ct_addr addr;
	int listener, kept, peer, lost;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	kept = ct_connect(AF_INET, ct_port(listener));
	peer = ct_accept(listener);
	lost = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(lost, "hello", 5));
	ct_await(listener, POLLIN);
	TRY(close(listener));
	TRY(read(lost, (char[8]){0}, 1));
	ct_refused(&addr);
	TRY(ct_write_full(kept, "hello", 5));
	TRY(ct_read_full(peer, (char[8]){0}, 5));
	return 0;
}
