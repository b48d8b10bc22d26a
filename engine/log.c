/* SPDX-License-Identifier: MIT */
/* The engine's log: one line an event, into the file QUICSHIM_LOG names; silent without it. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;

void qs_log_open(const char *path)
{
	if (path != NULL && path[0] != '\0')
		log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void qs_log(const char *format, ...)
{
	int saved = errno;
	char line[1024];
	struct timespec ts;
	va_list args;
	int head, body;

	if (log_fd < 0)
		return;
	/* Seconds as a number: localtime() and its kin take locks that a fork of the host may have held. */
	clock_gettime(CLOCK_REALTIME, &ts);
	head = snprintf(line, sizeof(line), "%lld.%06ld [%d] ", (long long)ts.tv_sec,
			ts.tv_nsec / 1000, (int)getpid());
	va_start(args, format);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
	va_end(args);
	if (body < 0)
		body = 0;
	if ((size_t)(head + body) > sizeof(line) - 2)
		body = (int)sizeof(line) - 2 - head;
	for (int i = head; i < head + body; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[head + body] = '\n';
	if (write(log_fd, line, (size_t)(head + body + 1)) < 0) {
		/* A log that can't be written is no reason to disturb anybody. */
	}
	errno = saved;
}
