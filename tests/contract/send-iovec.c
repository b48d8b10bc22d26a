/* SPDX-License-Identifier: MIT */
/* writev and readv with up to IOV_MAX pieces, sendmsg and recvmsg; more is EINVAL. */
#include "harness.h"

#include <limits.h>

static volatile int negative = -1;
static char out[IOV_MAX + 1][8], in[IOV_MAX + 1][8];

int main(void)
{
	struct iovec iov[IOV_MAX + 1], into[IOV_MAX + 1];
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = IOV_MAX};
	struct msghdr answer = {.msg_iov = into, .msg_iovlen = IOV_MAX};
	int pair[2], n = 0;

	ct_init();
	ct_pair(pair);
	ct_pattern(out, sizeof(out), 0, 1);
	for (int i = 0; i <= IOV_MAX; i++) {
		iov[i] = (struct iovec){out[i], sizeof(out[i])};
		into[i] = (struct iovec){in[i], sizeof(in[i])};
	}
	TRY(writev(pair[0], iov, IOV_MAX));
	while (n < IOV_MAX * 8)
		MUST(ioctl(pair[1], FIONREAD, &n));
	TRY(readv(pair[1], into, IOV_MAX));
	ct_note("right: %d", memcmp(in, out, IOV_MAX * 8) == 0);
	TRY(writev(pair[0], iov, IOV_MAX + 1));
	TRY(writev(pair[0], iov, negative));
	TRY(writev(pair[0], iov, 0));
	memset(in, 0, sizeof(in));
	TRY(sendmsg(pair[0], &message, 0));
	for (n = 0; n < IOV_MAX * 8;)
		MUST(ioctl(pair[1], FIONREAD, &n));
	TRY(recvmsg(pair[1], &answer, 0));
	ct_note("right: %d, flags %d, control %zu, name %u", memcmp(in, out, IOV_MAX * 8) == 0,
		answer.msg_flags, answer.msg_controllen, answer.msg_namelen);
	message.msg_iovlen = IOV_MAX + 1;
	TRY(sendmsg(pair[0], &message, 0));
	return 0;
}
