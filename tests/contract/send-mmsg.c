/* SPDX-License-Identifier: MIT */
/* sendmmsg and recvmmsg over a stream: counts and lengths. */
#include "harness.h"

int main(void)
{
	char out[3][4] = {"abc", "defg", "hi"}, in[4][4] = {""};
	struct iovec iov[3] = {{out[0], 3}, {out[1], 4}, {out[2], 2}}, into[4];
	struct mmsghdr send3[3] = {0}, receive[4] = {0};
	struct timespec limit = {.tv_sec = 1};
	int pair[2], n = 0;

	ct_init();
	ct_pair(pair);
	for (int i = 0; i < 3; i++)
		send3[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	for (int i = 0; i < 4; i++) {
		into[i] = (struct iovec){in[i], 4};
		receive[i].msg_hdr = (struct msghdr){.msg_iov = &into[i], .msg_iovlen = 1};
	}
	TRY(sendmmsg(pair[0], send3, 3, 0));
	ct_note("lengths %u %u %u", send3[0].msg_len, send3[1].msg_len, send3[2].msg_len);
	while (n < 9)
		MUST(ioctl(pair[1], FIONREAD, &n));
	TRY(recvmmsg(pair[1], receive, 4, MSG_WAITFORONE, &limit));
	ct_note("lengths %u %u %u", receive[0].msg_len, receive[1].msg_len, receive[2].msg_len);
	ct_note("text %.4s%.4s%.1s", in[0], in[1], in[2]);
	TRY(recvmmsg(pair[1], receive, 4, MSG_DONTWAIT, NULL));
	return 0;
}
