/* SPDX-License-Identifier: MIT */
/* accept without a free descriptor: EMFILE; the connection waits and is taken later, whole. */
#include "harness.h"

#include <sys/resource.h>

int main(void)
{
	struct rlimit limit, tight;
	int listener, fd, next;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	fd = ct_connect(AF_INET, ct_port(listener));
	TRY(ct_write_full(fd, "hello", 5));
	ct_await(listener, POLLIN);
	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	next = MUST(dup(0));
	close(next);
	tight = limit;
	tight.rlim_cur = (rlim_t)next;
	MUST(setrlimit(RLIMIT_NOFILE, &tight));
	TRY(accept(listener, NULL, NULL));
	TRY(accept(listener, NULL, NULL));
	ct_poll(listener, POLLIN, 0);
	MUST(setrlimit(RLIMIT_NOFILE, &limit));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
