/* SPDX-License-Identifier: MIT */
/* sendmsg and sendmmsg with MSG_FASTOPEN connect and send; what comes after finds the connection. */
#include "harness.h"

#include <sys/syscall.h>

static int listener;

static void heard(void)
{
	int peer = ct_accept(listener);
	char text[32] = "";

	CHECK(ct_read_full(peer, text, 10) == 10);
	ct_note("heard %s", text);
	close(peer);
}

int main(void)
{
	struct iovec iov[2] = {{(char[]){"hello"}, 5}, {(char[]){"again"}, 5}};
	struct mmsghdr messages[2] = {0};
	struct ct_addr server;
	int fd;

	ct_init();
	listener = ct_listener(AF_INET, 5);
	server = ct_local(listener);
	ct_name_port(ct_port(listener), "SERVER");
	for (int i = 0; i < 2; i++) {
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &server.ss;
		messages[i].msg_hdr.msg_namelen = server.len;
	}

	fd = ct_socket(AF_INET, 0);
	TRY(sendmmsg(fd, messages, 2, MSG_FASTOPEN));
	ct_note("lengths %u %u", messages[0].msg_len, messages[1].msg_len);
	ct_prove(fd);
	ct_note("peer %s", ct_addr_text(&(struct ct_addr){ct_remote(fd).ss, server.len}));
	/* The second one finds a connected socket. */
	TRY(sendmmsg(fd, &messages[1], 1, MSG_FASTOPEN));
	TRY(send(fd, "again", 5, MSG_FASTOPEN));
	TRY(sendmmsg(fd, &messages[1], 1, 0));
	heard();
	close(fd);

	fd = ct_socket(AF_INET, 0);
	TRY(sendmsg(fd, &messages[0].msg_hdr, MSG_FASTOPEN));
	TRY(sendmsg(fd, &messages[1].msg_hdr, 0));
	ct_prove(fd);
	heard();
	close(fd);

	fd = ct_socket(AF_INET, 0);
	TRY(syscall(SYS_sendmmsg, fd, messages, 2, MSG_FASTOPEN));
	TRY(syscall(SYS_sendmmsg, fd, &messages[1], 1, 0));
	ct_prove(fd);
	heard();
	close(fd);

	fd = ct_socket(AF_INET, 0);
	server = ct_loopback(AF_INET, ct_closed_port());
	TRY(sendmmsg(fd, messages, 2, MSG_FASTOPEN));
	close(fd);
	return 0;
}
