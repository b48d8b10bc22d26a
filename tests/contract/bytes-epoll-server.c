/* SPDX-License-Identifier: MIT */
/* An edge-triggered server in one thread with forty clients at once, as event loops have it. */
#include "harness.h"

#define CLIENTS 40
#define ROUNDS 10

static void echo(int epoll, int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		CHECK(ct_write_full(fd, buffer, (size_t)n) == n);
	if (n == 0) {
		MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
		close(fd);
	} else {
		CHECK(errno == EAGAIN);
	}
}

static void server(int listener)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = listener}, events[16];
	int epoll = MUST(epoll_create1(0)), accepted = 0, ends = 0;

	ct_nonblock(listener, true);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	while (ends < CLIENTS) {
		int n = epoll_wait(epoll, events, 16, CT_LONG_MS);

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listener) {
				echo(epoll, fd);
				ends += fcntl(fd, F_GETFD) < 0;
				continue;
			}
			while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				accepted++;
				event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
				event.data.fd = fd;
				MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
			}
		}
	}
	ct_note("accepted %d, ends %d", accepted, ends);
}

static void client(int port)
{
	int fds[CLIENTS], right = 0;
	char word[500], back[500];

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ct_connect(AF_INET, port);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			ct_pattern(word, sizeof(word), 0, (uint64_t)(i * 100 + round));
			CHECK(ct_write_full(fds[i], word, sizeof(word)) == sizeof(word));
		}
		for (int i = 0; i < CLIENTS; i++) {
			ct_pattern(word, sizeof(word), 0, (uint64_t)(i * 100 + round));
			right += ct_read_full(fds[i], back, sizeof(back)) == sizeof(back) &&
				 memcmp(word, back, sizeof(word)) == 0;
		}
	}
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	ct_note("%d right", right);
}

int main(void)
{
	ct_init();
	return ct_play_listen(CT_APART, server, client);
}
