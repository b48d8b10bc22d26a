/* SPDX-License-Identifier: MIT */
/* Finding engines by their socket names, and connecting to one. */
#include "status_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define LISTENING 0x10000u /* __SO_ACCEPTCON, the kernel's flag in /proc/net/unix */
#define ID_DIGITS 16

/* One line of /proc/net/unix: "Num: RefCount Protocol Flags Type St Inode Path", abstract names
 * with @. */
static bool line_parse(const char *line, uint64_t *id)
{
	struct sockaddr_un addr, wanted;
	const char *name;
	unsigned flags;
	int skip = 0;
	size_t len;

	if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &skip) != 1 || skip == 0 ||
	    !(flags & LISTENING))
		return false;
	name = line + skip;
	len = strcspn(name, "\n");
	if (name[0] != '@' || len > sizeof(addr.sun_path))
		return false;
	memset(&addr, 0, sizeof(addr));
	addr.sun_family = AF_UNIX;
	memcpy(addr.sun_path + 1, name + 1, len - 1);
	len += offsetof(struct sockaddr_un, sun_path);
	/* The name must be exactly the one that its id gives for the status channel. */
	return qs_control_address_id(&addr, (socklen_t)len, id) == 0 &&
	       qs_control_address(&wanted, *id, QS_CHANNEL_STATUS) == (socklen_t)len &&
	       memcmp(&addr, &wanted, len) == 0;
}

static int id_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int qs_engines_find(const char *path, uint64_t **out)
{
	uint64_t *ids = NULL, id;
	size_t n = 0, room = 0, line_size = 0;
	char *line = NULL;
	FILE *f = fopen(path, "re");
	int ret;

	*out = NULL;
	if (!f)
		return -errno;
	while (getline(&line, &line_size, f) >= 0) {
		if (!line_parse(line, &id))
			continue;
		if (n == room) {
			uint64_t *grown;

			room = room ? 2 * room : 16;
			grown = realloc(ids, room * sizeof(*ids));
			if (!grown) {
				ret = -ENOMEM;
				goto out;
			}
			ids = grown;
		}
		ids[n++] = id;
	}
	if (ferror(f)) {
		ret = -EIO;
		goto out;
	}
	if (n > 0)
		qsort(ids, n, sizeof(*ids), id_compare);
	ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || ids[i] != ids[i - 1])
			ids[ret++] = ids[i];
	}
	*out = ids;
	ids = NULL;
out:
	free(ids);
	free(line);
	fclose(f);
	return ret;
}

int qs_snapshot_ask(uint64_t id, int timeout_ms, struct qs_snapshot *out)
{
	/* A full backlog makes connect() sleep; the send timeout bounds that. */
	struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct sockaddr_un addr;
	socklen_t len = qs_control_address(&addr, id, QS_CHANNEL_STATUS);
	struct ucred peer;
	socklen_t peer_len = sizeof(peer);
	int fd, ret;

	memset(out, 0, sizeof(*out));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (const struct sockaddr *)&addr, len) < 0) {
		ret = errno == EAGAIN ? -ETIMEDOUT : -errno;
		goto out;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0) {
		ret = -errno;
		goto out;
	}
	if (geteuid() != 0 && peer.uid != 0 && peer.uid != geteuid())
		ret = -EACCES;
	else
		ret = qs_snapshot_read(fd, id, timeout_ms, out);
	out->uid = peer.uid;
	out->pid = peer.pid > 0 ? peer.pid : (pid_t)out->head.pid;
out:
	close(fd);
	return ret;
}
