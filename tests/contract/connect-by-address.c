/* SPDX-License-Identifier: MIT */
/* A program that looks up its own host's name first means the address when it connects to 127.0.0.1. */
#include "harness.h"

#include <netdb.h>

/* Looks HOST up; whether it resolves is not the subject. */
static void look_up(const char *host)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *list;

	if (getaddrinfo(host, NULL, &hints, &list) == 0)
		freeaddrinfo(list);
}

static void visit(int listener, const char *host)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *list;
	char service[16];
	int fd;

	sprintf(service, "%d", ct_port(listener));
	if (getaddrinfo(host, service, &hints, &list) != 0)
		ct_skip("localhost does not resolve");
	fd = ct_socket(AF_INET, 0);
	ct_note("%s: connect %d", host, connect(fd, list->ai_addr, list->ai_addrlen));
	ct_prove(fd);
	freeaddrinfo(list);
	CHECK(ct_write_full(fd, "hello", 5) == 5);
	ct_note("%s: read %d", host, (int)ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	close(fd);
}

int main(void)
{
	char own[256] = "";
	int listener;

	ct_init();
	gethostname(own, sizeof(own) - 1);
	listener = ct_listener(AF_INET, 5);
	look_up(own);
	visit(listener, "127.0.0.1");
	look_up(own);
	visit(listener, "localhost");
	look_up(own);
	visit(listener, "127.0.0.1");
	return 0;
}
