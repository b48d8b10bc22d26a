/* SPDX-License-Identifier: MIT */
/* An address given to send is ignored, recvfrom tells none, and SCM_RIGHTS moves nothing. */
#include "harness.h"

int main(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct ct_addr elsewhere, from = {.len = sizeof(from.ss)};
	char buffer[16];
	struct iovec iov = {buffer, sizeof(buffer)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int pair[2];

	ct_init();
	ct_pair(pair);
	elsewhere = ct_addr_of("127.0.0.9", 9);
	TRY(sendto(pair[0], "hello", 5, 0, SA(&elsewhere)));
	memset(&from.ss, 0x55, sizeof(from.ss));
	ct_await(pair[1], POLLIN);
	TRY(recvfrom(pair[1], buffer, 5, 0, (struct sockaddr *)&from.ss, &from.len));
	ct_note("length %u, untouched %d", (unsigned)from.len, from.ss.ss_family == 0x5555);

	memcpy(buffer, "hello", 5);
	iov.iov_len = 5;
	message.msg_name = &elsewhere.ss;
	message.msg_namelen = elsewhere.len;
	TRY(sendmsg(pair[0], &message, 0));
	message.msg_name = NULL;
	message.msg_namelen = 0;
	memcpy(CMSG_DATA(&control.header), &(int){0}, sizeof(int));
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	TRY(sendmsg(pair[0], &message, 0));

	memset(&control, 0, sizeof(control));
	message.msg_name = &from.ss;
	message.msg_namelen = sizeof(from.ss);
	iov.iov_len = 5;
	for (int i = 0; i < 2; i++) {
		message.msg_controllen = sizeof(control);
		TRY(recvmsg(pair[1], &message, MSG_WAITALL));
		ct_note("name %u, control %zu, flags %d", message.msg_namelen,
			message.msg_controllen, message.msg_flags);
	}
	return 0;
}
