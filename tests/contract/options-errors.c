/* SPDX-License-Identifier: MIT */
/* Options that don't exist, have the wrong size or a value out of range: TCP's errno. */
#include "harness.h"

static void ask(int fd, const char *who)
{
	int value = 1, low = -5;
	socklen_t size = sizeof(value), tiny = 1;

	ct_note("%s", who);
	TRY(setsockopt(fd, SOL_SOCKET, 9999, &value, size));
	TRY(getsockopt(fd, SOL_SOCKET, 9999, &value, &size));
	TRY(setsockopt(fd, IPPROTO_TCP, 9999, &value, size));
	TRY(getsockopt(fd, IPPROTO_TCP, 9999, &value, &size));
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 1));
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &low, sizeof(low)));
	TRY(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 2));
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
	TRY(setsockopt(fd, IPPROTO_UDP, 1, &value, size));
	value = 0x7f7f7f7f;
	TRY(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &tiny));
	ct_note("length %u, one byte written %d", (unsigned)tiny, (value & ~0xff) == 0x7f7f7f00);
	TRY(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &(socklen_t){(socklen_t)-1}));
	TRY(setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, size));
	TRY(setsockopt(fd, SOL_SOCKET, SO_ERROR, &value, size));
}

int main(void)
{
	int pair[2];

	ct_init();
	ct_pair(pair);
	ask(pair[0], "connected");
	ask(ct_listener(AF_INET, 5), "listening");
	TRY(setsockopt(-1, IPPROTO_TCP, TCP_NODELAY, &pair[0], sizeof(int)));
	TRY(getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &pair[0], &(socklen_t){sizeof(int)}));
	return 0;
}
