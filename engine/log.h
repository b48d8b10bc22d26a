/* SPDX-License-Identifier: MIT */
/* The engine's log: one line an event, into the file QUICSHIM_LOG names; silent without it. */
#ifndef QS_LOG_H
#define QS_LOG_H

/* Opens for appending. Any failure means no log. Engine start only. */
void qs_log_open(const char *path);
/* Takes no lock; preserves errno. Cuts at 1,000 octets; control characters become '?'. */
void qs_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
