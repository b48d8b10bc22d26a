/* SPDX-License-Identifier: MIT */
/* uthash as it must be in somebody else's process. Include this, never <uthash.h>. */
#ifndef QS_HASH_H
#define QS_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Draws the key of this process's tables, at the first call; later ones change nothing, as tables may be in use.
 * Before any engine runs. 0 or -errno.
 */
int qs_hash_init(void);

/*
 * SipHash-2-4 of `data` with that key. Peers choose what many tables are searched for, connection IDs above all: who
 * does not know the key can't make entries meet in one bucket, nor tell anything of one from how long a search takes.
 */
uint64_t qs_hash(const void *data, size_t len);
/* The same with any key. */
uint64_t qs_hash_keyed(const uint64_t key[2], const void *data, size_t len);

#define HASH_FUNCTION(data, len, value) ((value) = (unsigned)qs_hash((data), (len)))
/* Without memory HASH_ADD leaves hh.tbl NULL in the item; uthash's default is exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
