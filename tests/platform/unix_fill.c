/* SPDX-License-Identifier: MIT */
/* Proves: a connect header fills an AF_UNIX stream socket, and reading its front part leaves it full. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER 4480
#define FRONT 1248 /* what the engine reads at once: everything but the filler */

static int failures;

static void check(int ok, const char *what)
{
	printf("%s %s\n", ok ? "ok" : "FAIL", what);
	failures += !ok;
}

static int writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	poll(&p, 1, 0);
	return (p.revents & POLLOUT) != 0;
}

static int send_with_fd(int fd, const void *data, size_t len, int flags)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	union {
		const void *in;
		void *out;
	} base = {.in = data};
	struct iovec iov = {.iov_base = base.out, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return (int)sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

/* Returns the bytes read; *n_fds counts descriptors, which are closed but for the first, given in *fd. */
static int read_with_fd(int sock, void *buf, size_t len, int *fd, int *n_fds)
{
	char control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int got = (int)recvmsg(sock, &msg, MSG_DONTWAIT);

	*n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); got >= 0 && c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_type == SCM_RIGHTS) {
			*n_fds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		}
	}
	return got;
}

int main(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t name_len = sizeof(sa_family_t);
	int least = 1, pending = 0, fd = -1, n = 0, total = 0;
	static uint8_t header[HEADER], buf[HEADER];
	uint64_t mark = 0x5153aabbccddeeffull, back = 0;
	socklen_t back_len = sizeof(back);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&name, name_len) ||
	    listen(listener, 8)) {
		perror("listener");
		return 77;
	}
	name_len = sizeof(name);
	getsockname(listener, (struct sockaddr *)&name, &name_len);

	int app = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(app, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	check(!setsockopt(app, SOL_SOCKET, SO_MAX_PACING_RATE, &mark, sizeof(mark)), "set a mark");
	check(!getsockopt(app, SOL_SOCKET, SO_MAX_PACING_RATE, &back, &back_len) && back == mark &&
		      back_len == sizeof(back),
	      "read all 64 bits of the mark back");
	check(!connect(app, (struct sockaddr *)&name, name_len), "connect");
	check(send_with_fd(app, header, sizeof(header), MSG_DONTWAIT) == HEADER,
	      "header goes whole");
	check(!writable(app), "not writable after the header");
	check(send(app, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN,
	      "one more byte gives EAGAIN");

	int engine = accept(listener, NULL, NULL);

	check(read_with_fd(engine, buf, FRONT, &fd, &n) == FRONT && n == 1,
	      "front part with one descriptor");
	check(!writable(app), "not writable after the front part is read");
	check(send(app, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN,
	      "one more byte still gives EAGAIN");
	ioctl(engine, FIONREAD, &pending);
	check(pending == HEADER - FRONT, "the rest is there");

	int large = 100000;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	while (total < HEADER - FRONT) {
		int got = read_with_fd(engine, buf, (size_t)(HEADER - FRONT - total), &n, &n);

		if (got <= 0)
			break;
		total += got;
	}
	check(total == HEADER - FRONT, "the rest is read");
	check(writable(app), "writable after the header is read");
	check(send_with_fd(app, "f", 1, 0) == 1 && send(app, "data", 4, MSG_NOSIGNAL) == 4,
	      "filler and data go");
	check(read_with_fd(engine, buf, sizeof(buf), &n, &n) == 1 && buf[0] == 'f',
	      "a read ends with the byte that brings a descriptor");
	check(read_with_fd(engine, buf, sizeof(buf), &n, &n) == 4 && !memcmp(buf, "data", 4),
	      "data after the filler");

	/* What must not be done: to leave one byte of the header only. */
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(other, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	check(!connect(other, (struct sockaddr *)&name, name_len), "connect again");
	send_with_fd(other, header, sizeof(header), MSG_DONTWAIT);
	engine = accept(listener, NULL, NULL);
	for (total = 0; total < HEADER - 1;) {
		int got = (int)recv(engine, buf, (size_t)(HEADER - 1 - total), MSG_DONTWAIT);

		if (got <= 0)
			break;
		total += got;
	}
	printf("note: with one byte of the header left: writable %d, send %zd\n", writable(other),
	       send(other, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	return failures ? 1 : 0;
}
