/* SPDX-License-Identifier: MIT */
/* getsockname and getpeername: short buffers, bad pointers, bad descriptors. */
#include "harness.h"

static void show(int fd, int (*get)(int, struct sockaddr *, socklen_t *), const char *name)
{
	struct ct_addr addr;
	int result;

	memset(&addr, 0x55, sizeof(addr));
	addr.len = 3;
	result = get(fd, (struct sockaddr *)&addr.ss, &addr.len);
	ct_note("%s: short %d, length %u, family %d, rest untouched %d", name, result,
		(unsigned)addr.len, addr.ss.ss_family, ((unsigned char *)&addr.ss)[3] == 0x55);
	addr.len = 0;
	result = get(fd, (struct sockaddr *)&addr.ss, &addr.len);
	ct_note("%s: nothing %d, length %u", name, result, (unsigned)addr.len);
	addr.len = sizeof(addr.ss);
	result = get(fd, (struct sockaddr *)&addr.ss, &addr.len);
	ct_note("%s: whole %d, length %u", name, result, (unsigned)addr.len);
}

static int sockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getsockname(fd, addr, len);
}

static int peername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getpeername(fd, addr, len);
}

int main(void)
{
	struct ct_addr addr = {.len = sizeof(addr.ss)}, local, remote;
	socklen_t negative = (socklen_t)-1;
	int pair[2];

	ct_init();
	ct_pair(pair);
	local = ct_local(pair[0]);
	remote = ct_remote(pair[1]);
	ct_note("agree %d", ct_addr_port(&local) == ct_addr_port(&remote));
	local = ct_local(pair[1]);
	remote = ct_remote(pair[0]);
	ct_note("agree %d", ct_addr_port(&local) == ct_addr_port(&remote));
	show(pair[0], sockname, "client's own");
	show(pair[0], peername, "client's peer");
	show(pair[1], sockname, "server's own");
	show(pair[1], peername, "server's peer");
	TRY(getsockname(pair[0], (struct sockaddr *)&addr.ss, &negative));
	TRY(getpeername(pair[0], (struct sockaddr *)&addr.ss, &negative));
	TRY(getsockname(-1, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(getsockname(STDIN_FILENO, (struct sockaddr *)&addr.ss, &addr.len));
	TRY(getpeername(STDIN_FILENO, (struct sockaddr *)&addr.ss, &addr.len));
	return 0;
}
