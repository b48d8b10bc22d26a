/* SPDX-License-Identifier: MIT */
/* An edge-triggered writer that stops at EAGAIN is told when there is room again, until done. */
#include "harness.h"

#define TOTAL (8 << 20)

static void server(int fd)
{
	ct_hear();
	ct_note("all right: %d", ct_recv_pattern(fd, TOTAL, 11) == TOTAL);
}

static void client(int fd)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
	int epoll = MUST(epoll_create1(0)), full = 0;
	static char bytes[TOTAL];
	size_t done = 0;

	ct_pattern(bytes, sizeof(bytes), 0, 11);
	ct_nonblock(fd, true);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	while (done < TOTAL) {
		CHECK(epoll_wait(epoll, &event, 1, CT_LONG_MS) == 1);
		CHECK((event.events & EPOLLOUT) != 0);
		while (done < TOTAL) {
			ssize_t n = write(fd, bytes + done, TOTAL - done);

			if (n < 0) {
				CHECK(errno == EAGAIN);
				break;
			}
			done += (size_t)n;
		}
		if (full++ == 0)
			ct_tell();
	}
	ct_note("all written: %d", done == TOTAL);
	close(fd);
}

int main(void)
{
	ct_init();
	return ct_play(CT_APART, server, client);
}
