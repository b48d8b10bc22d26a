/* SPDX-License-Identifier: MIT */
/* syscall(2) instead of the functions: the same connection, the same bytes. */
#include "harness.h"

#include <sys/syscall.h>

int main(void)
{
	struct ct_addr addr;
	int listener, fd, peer;
	char word[8] = {0};

	ct_init();
	listener = ct_listener(AF_INET, 5);
	addr = ct_local(listener);
	ct_name_port(ct_port(listener), "SERVER");
	fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	TRY(syscall(SYS_connect, fd, &addr.ss, addr.len));
	ct_prove(fd);
	addr.len = sizeof(addr.ss);
	TRY(syscall(SYS_getpeername, fd, &addr.ss, &addr.len));
	ct_note("remote %s", ct_addr_text(&addr));
	peer = ct_accept(listener);
	TRY(syscall(SYS_write, fd, "hello", 5));
	TRY(syscall(SYS_read, peer, word, 5));
	TRY(syscall(SYS_sendto, peer, "again", 5, 0, NULL, 0));
	TRY(syscall(SYS_recvfrom, fd, word, 5, 0, NULL, NULL));
	ct_note("read %s", word);
	TRY(syscall(SYS_shutdown, fd, SHUT_WR));
	TRY(syscall(SYS_read, peer, word, 1));
	return 0;
}
