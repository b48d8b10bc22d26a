/* SPDX-License-Identifier: MIT */
/* getaddrinfo, then connect to what it gave, family by family, as clients do. */
#include "harness.h"

#include <netdb.h>

int main(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *list;
	int listener, fd;
	char service[16];

	ct_init();
	listener = ct_listener(AF_INET, 5);
	sprintf(service, "%d", ct_port(listener));
	if (getaddrinfo("localhost", service, &hints, &list) != 0)
		ct_skip("localhost does not resolve");
	fd = MUST(socket(list->ai_family, list->ai_socktype, list->ai_protocol));
	TRY(connect(fd, list->ai_addr, list->ai_addrlen));
	ct_prove(fd);
	freeaddrinfo(list);
	TRY(ct_write_full(fd, "hello", 5));
	TRY(ct_read_full(ct_accept(listener), (char[8]){0}, 5));
	return 0;
}
