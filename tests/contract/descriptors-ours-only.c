/* SPDX-License-Identifier: MIT */
/* /proc/self/fd lists what the program opened and nothing else; numbers come lowest first. */
#include "harness.h"

#include <dirent.h>

static void list(const char *when)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	char text[256] = "";
	bool open[64] = {false};

	CHECK(directory != NULL);
	while ((entry = readdir(directory)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(directory))
			continue;
		if (fd < 64)
			open[fd] = true;
		else
			sprintf(text + strlen(text), " far:%d", fd);
	}
	closedir(directory);
	for (int fd = 0; fd < 64; fd++) {
		if (open[fd])
			sprintf(text + strlen(text), " %d", fd);
	}
	ct_note("%s:%s", when, text);
}

int main(void)
{
	struct ct_addr addr;
	int listener, fd, peer;

	ct_init();
	MUST(close_range(3, ~0u, 0));
	list("at first");
	listener = ct_listener(AF_INET, 5);
	ct_note("listener %d", listener);
	list("listening");
	fd = ct_connect(AF_INET, ct_port(listener));
	ct_note("client %d", fd);
	list("connected");
	peer = ct_accept(listener);
	ct_note("accepted %d", peer);
	list("accepted");
	addr = ct_loopback(AF_INET, ct_port(listener));
	close(fd);
	fd = ct_socket(AF_INET, SOCK_NONBLOCK);
	connect(fd, SA(&addr));
	ct_note("another %d", fd);
	ct_await(fd, POLLOUT);
	list("another");
	close(fd);
	close(peer);
	close(listener);
	list("closed");
	return 0;
}
