/* SPDX-License-Identifier: MIT */
/* epoll tells of a refused connection, level and edge, registered before or after connect. */
#include "harness.h"

static void watch(uint32_t flags, bool before, const char *name)
{
	struct ct_addr addr = ct_loopback(AF_INET, ct_closed_port());
	struct epoll_event event = {.events = EPOLLOUT | flags, .data.u64 = 9};
	int epoll = MUST(epoll_create1(0)), fd = ct_socket(AF_INET, SOCK_NONBLOCK), n;

	if (before)
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	MUST(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS ? 0 : -1);
	ct_prove(fd);
	if (!before)
		MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	do {
		memset(&event, 0, sizeof(event));
		n = epoll_wait(epoll, &event, 1, CT_LONG_MS);
	} while (n == 1 && (event.events & EPOLLERR) == 0);
	/* Mapped, OUT may come an instant after the error: the kernel sets that before it frees the header. */
	ct_note("%s: %d %s data %d", name, n, ct_event_names(event.events & ~(uint32_t)EPOLLOUT),
		(int)event.data.u64);
	ct_so_error(fd);
	close(fd);
	close(epoll);
}

int main(void)
{
	ct_init();
	watch(0, false, "level after");
	watch(EPOLLET, false, "edge after");
	watch(0, true, "level before");
	watch(EPOLLET, true, "edge before");
	return 0;
}
