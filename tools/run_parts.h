/* SPDX-License-Identifier: MIT */
/* What quicshim-run finds out before it starts a command. */
#ifndef QS_RUN_PARTS_H
#define QS_RUN_PARTS_H

#include <stddef.h>

/*
 * Find the file that execvp(3) would run. Returns 0 with its path in `out`, -ENOENT, -EACCES (there
 * is one, and it can't be executed) or -ENAMETOOLONG.
 */
int qs_command_find(const char *command, char *out, size_t size);

/*
 * Why a preload library won't work in this program, as the end of the sentence "PATH ...", or NULL
 * if nothing speaks against it (or the file can't be read, in which case nobody knows). Scripts are
 * judged by their interpreter.
 */
const char *qs_command_obstacle(const char *path);

/* Find libquicshim.so: beside this program's folder, then where it was installed. 0, -ENOENT,
 * -ENAMETOOLONG, or -EINVAL if its path has a character at which the loader would cut it. `out`
 * then has the path. */
int qs_library_find(char *out, size_t size);

#endif
