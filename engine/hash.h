/* SPDX-License-Identifier: MIT */
/* uthash as it must be in somebody else's process. Include this, never <uthash.h>. */
#ifndef QS_HASH_H
#define QS_HASH_H

/* Without memory HASH_ADD leaves hh.tbl NULL in the item; uthash's default is exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
