/* SPDX-License-Identifier: MIT */
/* Finds the command's file and the preload library. */
#include "run_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef QS_LIBDIR
#define QS_LIBDIR "/usr/local/lib"
#endif
#ifndef QS_LIBDIR_NAME
#define QS_LIBDIR_NAME "lib"
#endif
#define LIBRARY "libquicshim.so"

static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int qs_command_find(const char *command, char *out, size_t size)
{
	const char *path = getenv("PATH");
	int ret = -ENOENT;

	if (strchr(command, '/')) {
		if ((size_t)snprintf(out, size, "%s", command) >= size)
			return -ENAMETOOLONG;
		return executable(out);
	}
	if (!path)
		path = "/bin:/usr/bin"; /* execvp(3)'s default */
	if (!*command)
		return -ENOENT;
	for (;;) {
		size_t len = strcspn(path, ":");

		if ((size_t)snprintf(out, size, "%.*s%s%s", (int)len, path, len ? "/" : "./",
				     command) < size) {
			int here = executable(out);

			if (here == 0)
				return 0;
			if (here == -EACCES)
				ret = -EACCES;
		}
		if (!path[len])
			return ret;
		path += len + 1;
	}
}

int qs_library_find(char *out, size_t size)
{
	char self[PATH_MAX], path[PATH_MAX + 64], resolved[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			snprintf(path, sizeof(path), "%s/../lib/" LIBRARY, self);
		else if (i == 1)
			snprintf(path, sizeof(path), "%s/../" QS_LIBDIR_NAME "/" LIBRARY, self);
		else
			snprintf(path, sizeof(path), QS_LIBDIR "/" LIBRARY);
		if ((i < 2 && !slash) || !realpath(path, resolved))
			continue;
		if ((size_t)snprintf(out, size, "%s", resolved) >= size)
			return -ENAMETOOLONG;
		return strpbrk(out, " :\t\n") || strchr(out, '$') ? -EINVAL : 0;
	}
	return -ENOENT;
}
