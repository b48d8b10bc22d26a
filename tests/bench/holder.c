// SPDX-License-Identifier: MIT
/*
 * Holds idle connections: `holder server ADDR PORT`, `holder client ADDR PORT`. The client reads
 * numbers from its input, opens that many connections more, sends a byte over each and waits for
 * it to come back, then says `held TOTAL MICROSECONDS`. It allocates nothing for a connection, so
 * whatever grows is somebody else's.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "holder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

static void serve(const struct sockaddr_in *sin)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (const struct sockaddr *)sin, sizeof(*sin)) < 0 ||
	    listen(listener, 1024) < 0)
		die("listen");
	ev.data.fd = listener;
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		char byte;
		int fd;

		if (epoll_wait(ep, &ev, 1, -1) < 1)
			continue;
		if (ev.data.fd == listener) {
			fd = accept(listener, NULL, NULL);
			if (fd < 0)
				die("accept");
			ev.events = EPOLLIN;
			ev.data.fd = fd;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
			continue;
		}
		fd = ev.data.fd;
		if (read(fd, &byte, 1) != 1)
			close(fd);
		else if (write(fd, &byte, 1) != 1)
			die("write");
	}
}

static void hold(const struct sockaddr_in *sin)
{
	long total = 0, more;

	while (scanf("%ld", &more) == 1) {
		long long begin = clock_us();

		for (long i = 0; i < more; i++) {
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			char byte = 'q';

			if (fd < 0 || connect(fd, (const struct sockaddr *)sin, sizeof(*sin)) < 0)
				die("connect");
			if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1 || byte != 'q')
				die("echo");
		}
		total += more;
		printf("held %ld %lld\n", total, clock_us() - begin);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct rlimit files;

	if (argc != 4 || inet_pton(AF_INET, argv[2], &sin.sin_addr) != 1) {
		fputs("usage: holder server|client ADDR PORT\n", stderr);
		return 2;
	}
	sin.sin_port = htons((uint16_t)atoi(argv[3]));
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (!strcmp(argv[1], "server"))
		serve(&sin);
	hold(&sin);
	return 0;
}
