/* SPDX-License-Identifier: MIT */
/* A connection passed by SCM_RIGHTS to a program without the preload: bytes and ends are the kernel's. */
#include "harness.h"

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static void take_and_serve(int channel)
{
	union control control;
	struct iovec iov = {&(char){0}, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	char word[8];
	int fd;

	ct_as("receiver");
	CHECK(recvmsg(channel, &message, 0) == 1);
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	ct_events(fd, POLLIN | POLLOUT);
	TRY(ct_read_full(fd, word, 5));
	TRY(ct_write_full(fd, word, 5));
	TRY(shutdown(fd, SHUT_WR));
	TRY(read(fd, word, 1));
}

int main(void)
{
	union control control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {&(char){0}, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int channel[2], pair[2];
	char word[8] = {0};
	pid_t pid;

	ct_init();
	if (ct_role() != NULL) {
		take_and_serve(STDIN_FILENO);
		return 0;
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	pid = ct_fork("receiver");
	if (pid == 0) {
		MUST(dup2(channel[1], STDIN_FILENO));
		unsetenv("LD_PRELOAD");
		ct_exec_self("plain");
	}
	ct_pair(pair);
	memcpy(CMSG_DATA(&control.header), &pair[1], sizeof(int));
	TRY(sendmsg(channel[0], &message, 0));
	close(pair[1]);
	TRY(ct_write_full(pair[0], "hello", 5));
	TRY(ct_read_full(pair[0], word, 5));
	TRY(read(pair[0], word, 1));
	close(pair[0]);
	ct_reap(pid);
	return 0;
}
