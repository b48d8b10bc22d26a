/* SPDX-License-Identifier: MIT */
/* One edge-triggered registration for all events, made before connect, through a whole life. */
#include "harness.h"

/* Waits until all of WANT have been told since the last time. */
static void await(int epoll, uint32_t want, const char *name)
{
	uint32_t seen = 0;
	struct epoll_event event;

	while ((seen & want) != want && epoll_wait(epoll, &event, 1, CT_LONG_MS) == 1)
		seen |= event.events;
	ct_note("%s: %d", name, (seen & want) == want);
}

int main(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	struct ct_addr addr;
	char buffer[8];
	int epoll, fd, peer, listener;

	ct_init();
	epoll = MUST(epoll_create1(0));
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	epoll_wait(epoll, &event, 1, 0);
	CHECK(connect(fd, SA(&addr)) == -1 && errno == EINPROGRESS);
	ct_prove(fd);
	await(epoll, EPOLLOUT, "up");
	peer = ct_accept(listener);
	TRY(write(peer, "one", 3));
	await(epoll, EPOLLIN, "data");
	TRY(read(fd, buffer, 1));
	TRY(write(peer, "two", 3));
	await(epoll, EPOLLIN, "more data");
	TRY(ct_read_full(fd, buffer, 5));
	TRY(read(fd, buffer, 1));
	TRY(shutdown(peer, SHUT_WR));
	await(epoll, EPOLLIN | EPOLLRDHUP, "end");
	TRY(read(fd, buffer, 1));
	TRY(ct_write_full(fd, "three", 5));
	TRY(shutdown(fd, SHUT_WR));
	await(epoll, EPOLLHUP, "over");
	TRY(ct_read_full(peer, buffer, 8));
	return 0;
}
