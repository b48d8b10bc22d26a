/* SPDX-License-Identifier: MIT */
/* Fuzz target: an engine's answer to quicshim-status, and the list of sockets it finds engines in. */
#include "status_view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const uint8_t *data, size_t size)
{
	struct qs_status_head head = {0};
	struct qs_snapshot s;
	FILE *null;
	int fds[2];

	/* Ask for the engine that it claims to be, else nothing gets past the first check. */
	memcpy(&head, data, size < sizeof(head) ? size : sizeof(head));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		abort();
	if (size && send(fds[1], data, size, MSG_DONTWAIT) < 0)
		abort();
	close(fds[1]);
	if (qs_snapshot_read(fds[0], head.engine, 1000, &s) == 0) {
		null = fopen("/dev/null", "we");
		if (!null || qs_status_text(null, &s, 1, false) ||
		    qs_status_text(null, &s, 1, true) || qs_status_json(null, &s, 1))
			abort();
		fclose(null);
	}
	qs_snapshot_fini(&s);
	close(fds[0]);
}

static void sockets(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", 0);
	uint64_t *ids;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (qs_engines_find(path, &ids) >= 0)
		free(ids);
	close(fd);
}

/* The first byte chooses; it is not part of what is read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 65536)
		return 0;
	if (data[0] == 'L')
		sockets(data + 1, size - 1);
	else
		answer(data + 1, size - 1);
	return 0;
}
