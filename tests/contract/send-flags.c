/* SPDX-License-Identifier: MIT */
/* The flags of send and recv that TCP takes without a word, and those that it refuses. */
#include "harness.h"

int main(void)
{
	char buffer[16];
	int pair[2];

	ct_init();
	ct_pair(pair);
	TRY(send(pair[0], "a", 1, MSG_NOSIGNAL));
	TRY(send(pair[0], "b", 1, MSG_DONTROUTE));
	TRY(send(pair[0], "c", 1, MSG_EOR));
	TRY(send(pair[0], "d", 1, MSG_CONFIRM));
	TRY(send(pair[0], "e", 1, MSG_DONTWAIT));
	TRY(send(pair[0], "f", 1, MSG_MORE | MSG_DONTWAIT));
	TRY(send(pair[0], "g", 1, MSG_WAITALL));
	TRY(ct_read_full(pair[1], buffer, 7));
	ct_note("read %.7s", buffer);
	TRY(recv(pair[1], buffer, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	TRY(recv(pair[1], buffer, 1, MSG_OOB));
	TRY(send(pair[0], "hi", 2, 0));
	ct_await(pair[1], POLLIN);
	TRY(recv(pair[1], buffer, 1, MSG_CMSG_CLOEXEC));
	TRY(recv(pair[1], buffer, 1, MSG_WAITALL | MSG_NOSIGNAL));
	return 0;
}
