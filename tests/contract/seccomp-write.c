/* SPDX-License-Identifier: MIT */
/* A filter that punishes sendto, sendmsg and accept4: write and writev stay what they are, on any descriptor. */
#include "seccomp.h"

int main(void)
{
	static const int forbidden[] = {SYS_sendto, SYS_sendmsg, SYS_accept4, -1};
	struct iovec iov = {(char[8]){"hello"}, 5};
	int pair[2], file, tube[2], listener;

	ct_init();
	ct_pair(pair);
	listener = ct_listener(AF_INET, 5);
	file = MUST(open("file", O_CREAT | O_RDWR, 0600));
	MUST(pipe(tube));
	TRY(write(pair[0], "hello", 5)); /* so that the descriptor is known */
	seccomp_on(forbidden, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
	TRY(write(pair[0], "hello", 5));
	TRY(writev(pair[0], &iov, 1));
	TRY(ct_read_full(pair[1], (char[16]){0}, 15));
	TRY(write(file, "hello", 5));
	TRY(writev(tube[1], &iov, 1));
	TRY(shutdown(listener, SHUT_RDWR));
	MUST(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			sizeof(struct linger)));
	close(pair[1]);
	ct_await(pair[0], POLLERR | POLLHUP);
	TRY(write(pair[0], "x", 1));
	TRY(write(pair[0], "x", 1));
	return 0;
}
