/* SPDX-License-Identifier: MIT */
/* Socket options that AF_UNIX does not keep, and those that move from one socket to another. */
#ifndef QS_OPTION_H
#define QS_OPTION_H

#include "../engine/control.h"

/* All of these are async-signal-safe and leave errno alone. */

/* Remembers that this process sets an option: only such are copied later. */
void qs_option_note(int level, int name);

/* The place of an option in struct qs_options: enum qs_option, or beyond it; -1 = none. */
int qs_option_index(int level, int name);
/* False if the app has not set it. */
bool qs_option_read(const struct qs_options *options, int index, int *value);
void qs_option_write(struct qs_options *options, int index, int value);
/* One more was accepted that has no effect; qs_option_write does it where it must. */
void qs_option_count_ignored(struct qs_options *options);

/* Any other option whose level and name are an octet each: a few are kept. */
bool qs_option_rare_read(const struct qs_options *options, int level, int name, int *value);
void qs_option_rare_write(struct qs_options *options, int level, int name, int value);

/*
 * Copies what the kernel keeps for any socket from one to another: the options noted so far, and who gets SIGIO.
 * SO_SNDBUF is not copied unless sndbuf is true.
 */
void qs_option_copy(int from, int to, bool sndbuf);
/*
 * O_ASYNC, where F_GETFL of the socket that was at this number says so: a signal of F_SETSIG tells the number that was
 * there when O_ASYNC was set, so it is not copied.
 */
void qs_option_start_signals(int fd, int old_flags);
bool qs_option_may_signal(void);
/* The same without SIGIO: what accept() gives has it from nobody. */
void qs_option_inherit(int from, int to, bool sndbuf);
/* Reads what AF_UNIX does not keep from a TCP socket, and sets such on one. */
void qs_option_collect(int fd, struct qs_options *out);
void qs_option_spread(int fd, const struct qs_options *options, bool v6);

/* SO_SNDBUF if this process ever set such, else 0. */
uint32_t qs_option_sndbuf(int fd);
/* Likewise SO_MARK and SO_BINDTODEVICE. */
void qs_option_route(int fd, uint32_t *mark, char *device, socklen_t device_len);

#endif
