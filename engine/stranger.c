/* SPDX-License-Identifier: MIT */
/* Getting rid of what somebody unknown has sent, without waiting for anything. */

/*
 * Theory. Whoever holds the last reference to a socket closes it, and close() of a TCP socket with SO_LINGER and unsent
 * data sleeps for as long as its owner wished. Sockets of ours that anybody may connect to take descriptors in: the
 * last reference may then be ours, whether we have received it or it only stands in the queue of what we close.
 */
#include "stranger.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 253 /* of one message: the kernel's SCM_MAX_FD */

void qs_stranger_drop(int fd)
{
	struct linger linger = {0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void drop_all(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			qs_stranger_drop(fd);
		}
	}
}

void qs_stranger_empty(int fd)
{
	union {
		struct cmsghdr align;
		char octets[CMSG_SPACE(sizeof(int) * FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char data[4096];
	int type = SOCK_STREAM, on = 1;
	socklen_t len = sizeof(type);

	/* A message of no octets must not look like the end: it has credentials. */
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	if (type == SOCK_SEQPACKET)
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	shutdown(fd, SHUT_RDWR); /* from here on nothing can be added */
	for (;;) {
		struct iovec iov = {data, sizeof(data)};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.octets,
				     .msg_controllen = sizeof(control.octets)};

		ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 || (n == 0 && (type == SOCK_STREAM || msg.msg_controllen == 0)))
			return;
		drop_all(&msg);
	}
}
