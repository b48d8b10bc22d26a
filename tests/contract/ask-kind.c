/* SPDX-License-Identifier: MIT */
/* SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN and SO_ERROR in each state; fstat. */
#include "harness.h"

static void show(int fd, const char *name)
{
	static const int options[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_ERROR};
	int values[COUNT(options)];
	struct stat status;
	socklen_t size;

	for (size_t i = 0; i < COUNT(options); i++) {
		size = sizeof(values[i]);
		MUST(getsockopt(fd, SOL_SOCKET, options[i], &values[i], &size));
		CHECK(size == sizeof(values[i]));
	}
	MUST(fstat(fd, &status));
	ct_note("%s: type %d domain %d protocol %d listening %d error %d, socket %d", name,
		values[0], values[1], values[2], values[3], values[4], S_ISSOCK(status.st_mode));
}

int main(void)
{
	int pair[2], fd, family = AF_INET;

	ct_init();
	show(ct_socket(AF_INET, 0), "fresh");
	for (int i = 0; i < 2; i++, family = AF_INET6) {
		fd = ct_bound(family);
		show(fd, "bound");
		MUST(listen(fd, 5));
		ct_prove(fd);
		show(fd, "listening");
		pair[0] = ct_connect(family, ct_port(fd));
		pair[1] = ct_accept(fd);
		show(pair[0], "connected");
		show(pair[1], "accepted");
	}
	return 0;
}
