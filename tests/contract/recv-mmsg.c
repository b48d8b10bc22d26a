/* SPDX-License-Identifier: MIT */
/* recvmmsg: MSG_WAITFORONE, a time limit, the end of the stream, and an error in the middle. */
#include "harness.h"

static struct mmsghdr messages[4];
static struct iovec iov[4];
static char in[4][8];

static void receive(int fd, int flags, const char *name)
{
	int n;

	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){in[i], 4};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	n = recvmmsg(fd, messages, 4, flags, NULL);
	if (n < 0)
		ct_note("%s: %s", name, strerrorname_np(errno));
	for (int i = 0; i < n && messages[i].msg_len > 0; i++)
		ct_note("%s: %u bytes", name, messages[i].msg_len);
}

int main(void)
{
	struct linger none = {.l_onoff = 1};
	int pair[2], n = 0;

	ct_init();
	ct_pair(pair);
	receive(pair[1], MSG_DONTWAIT, "empty");
	TRY(write(pair[0], "abcdefghij", 10));
	while (n < 10)
		MUST(ioctl(pair[1], FIONREAD, &n));
	receive(pair[1], MSG_WAITFORONE, "data");
	TRY(shutdown(pair[0], SHUT_WR));
	ct_await(pair[1], POLLRDHUP);
	receive(pair[1], 0, "end");

	ct_pair(pair);
	MUST(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &none, sizeof(none)));
	close(pair[0]);
	ct_await(pair[1], POLLHUP | POLLERR);
	receive(pair[1], 0, "reset");
	return 0;
}
