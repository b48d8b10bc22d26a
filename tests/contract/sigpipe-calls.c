/* SPDX-License-Identifier: MIT */
/* SIGPIPE by each call that writes, after the app's own shutdown: one signal a call, or none. */
#include "harness.h"

#include <sys/sendfile.h>

static volatile sig_atomic_t pipes;

static void count(int number)
{
	(void)number;
	pipes++;
}

int main(void)
{
	struct sigaction action = {.sa_handler = count};
	struct iovec iov = {(char[8]){0}, 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr several = {.msg_hdr = message};
	int pair[2], file, tube[2];

	ct_init();
	MUST(sigaction(SIGPIPE, &action, NULL));
	ct_pair(pair);
	MUST(shutdown(pair[0], SHUT_WR));
	TRY(write(pair[0], "x", 1));
	TRY(writev(pair[0], &iov, 1));
	TRY(send(pair[0], "x", 1, 0));
	TRY(sendto(pair[0], "x", 1, 0, NULL, 0));
	TRY(sendmsg(pair[0], &message, 0));
	TRY(sendmmsg(pair[0], &several, 1, 0));
	ct_note("signals %d", (int)pipes);
	file = MUST(open("file", O_CREAT | O_RDWR, 0600));
	CHECK(write(file, "hello", 5) == 5);
	TRY(sendfile(pair[0], file, &(off_t){0}, 5));
	MUST(pipe(tube));
	CHECK(write(tube[1], "x", 1) == 1);
	TRY(splice(tube[0], NULL, pair[0], NULL, 1, 0));
	ct_note("signals with sendfile and splice: more %d", pipes > 6);
	pipes = 0;
	TRY(send(pair[0], "x", 1, MSG_NOSIGNAL));
	TRY(sendmsg(pair[0], &message, MSG_NOSIGNAL));
	TRY(sendmmsg(pair[0], &several, 1, MSG_NOSIGNAL));
	ct_note("signals %d", (int)pipes);
	return 0;
}
