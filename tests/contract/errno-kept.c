/* SPDX-License-Identifier: MIT */
/* What succeeds leaves errno alone. */
#include "harness.h"

#define KEPT(call)                                                                                 \
	do {                                                                                       \
		errno = ENOMSG;                                                                    \
		TRY(call);                                                                         \
		ct_note("errno %s", errno == ENOMSG ? "kept" : strerrorname_np(errno));            \
	} while (0)

int main(void)
{
	char buffer[16], *big = calloc(1, 300000);
	struct ct_addr addr;
	struct iovec iov = {.iov_base = buffer, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr several[2];
	int pair[2];

	ct_init();
	ct_pair(pair);
	addr = ct_remote(pair[0]);
	msg.msg_name = &addr.ss;
	msg.msg_namelen = addr.len;
	several[0].msg_hdr = several[1].msg_hdr = msg;
	KEPT(sendto(pair[0], "x", 1, 0, SA(&addr)));
	KEPT(sendmsg(pair[0], &msg, 0));
	KEPT(sendmmsg(pair[0], several, 2, 0));
	KEPT(send(pair[0], "x", 1, MSG_NOSIGNAL));
	KEPT(recv(pair[1], buffer, 4, MSG_WAITALL));
	ct_await(pair[1], POLLIN);
	KEPT(recv(pair[1], buffer, sizeof(buffer), MSG_TRUNC | MSG_PEEK));
	KEPT(recv(pair[1], big, 300000, MSG_TRUNC));
	KEPT(write(pair[0], "last", 4));
	KEPT(shutdown(pair[0], SHUT_WR));
	KEPT(recv(pair[1], buffer, 5, MSG_WAITALL | MSG_PEEK));
	KEPT(recv(pair[1], buffer, 5, MSG_WAITALL));
	KEPT(read(pair[1], buffer, 1));
	free(big);
	return 0;
}
