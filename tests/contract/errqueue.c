/* SPDX-License-Identifier: MIT */
/* MSG_ERRQUEUE asks for errors, not for bytes: the stream is untouched. */
#include "harness.h"

int main(void)
{
	char word[8] = {0}, control[64];
	struct iovec iov = {word, 5};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct mmsghdr many = {.msg_hdr = msg};
	int pair[2];

	ct_init();
	ct_pair(pair);
	CHECK(ct_write_full(pair[0], "hello", 5) == 5);
	ct_await(pair[1], POLLIN);
	TRY(recv(pair[1], word, 5, MSG_ERRQUEUE));
	TRY(recv(pair[1], word, 5, MSG_ERRQUEUE | MSG_DONTWAIT));
	TRY(recvfrom(pair[1], word, 5, MSG_ERRQUEUE, NULL, NULL));
	TRY(recvmsg(pair[1], &msg, MSG_ERRQUEUE));
	TRY(recvmmsg(pair[1], &many, 1, MSG_ERRQUEUE, NULL));
	TRY(recv(pair[1], word, 5, 0));
	ct_note("read %s", word);
	return 0;
}
