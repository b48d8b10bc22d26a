/* SPDX-License-Identifier: MIT */
/* One line on stderr for a fault that the user must mend. */
#include "state.h"

#include "raw.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 700
#define REMEMBERED 32

/* True if this text was not seen before. When the table is full nothing more is told. */
static bool is_new(const char *line, size_t len)
{
	static _Atomic uint64_t seen[REMEMBERED];
	uint64_t hash = 14695981039346656037ull;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)line[i]) * 1099511628211ull;
	hash |= 1;
	for (unsigned i = 0; i < REMEMBERED; i++) {
		uint64_t old = 0;

		if (atomic_compare_exchange_strong(&seen[i], &old, hash))
			return true;
		if (old == hash)
			return false;
	}
	return false;
}

/* A daemon may have closed its stderr and have a data file or a connection as descriptor 2. */
static bool takes_messages(void)
{
	struct stat st;
	int flags = qs_sys_fcntl(STDERR_FILENO, F_GETFL, 0);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(STDERR_FILENO, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return (flags & O_APPEND) || (flags & O_ACCMODE) == O_WRONLY;
	if (S_ISSOCK(st.st_mode)) {
		/* The journal's, but not one that came from accept() or connect() to a peer of the app. */
		struct sockaddr_un peer = {0};
		socklen_t len = sizeof(peer);

		return qs_sys_getpeername(STDERR_FILENO, &peer, &len) == 0 &&
		       peer.sun_family == AF_UNIX && !strncmp(peer.sun_path, "/run/systemd/", 13);
	}
	return S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode);
}

/* Appends, with control characters made visible: parts come from files and other processes. */
static size_t append(char *line, size_t at, const char *text)
{
	for (; *text && at < LINE_MAX_BYTES - 1; text++)
		line[at++] = (unsigned char)*text < ' ' ? '?' : *text;
	return at;
}

void qs_complain(const char *format, const char *first, const char *second)
{
	char line[LINE_MAX_BYTES];
	size_t at = append(line, 0, "quicshim: ");

	if (atomic_load_explicit(&qs_state.mute, memory_order_relaxed))
		return;
	for (; *format; format++) {
		if (format[0] == '%' && format[1] == '1') {
			at = append(line, at, first);
			format++;
		} else if (format[0] == '%' && format[1] == '2') {
			at = append(line, at, second);
			format++;
		} else if (at < LINE_MAX_BYTES - 1) {
			line[at++] = *format;
		}
	}
	line[at++] = '\n';
	if (is_new(line, at) && takes_messages())
		qs_sys_write(STDERR_FILENO, line, at);
}
