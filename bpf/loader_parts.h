/* SPDX-License-Identifier: MIT */
/* What the loader's files share. */
#ifndef QS_LOADER_PARTS_H
#define QS_LOADER_PARTS_H

#include "loader.h"

struct qs_steer {
	int program_fd;
	int slots_fd;
	int table_fd;
	int counts_fd;
	bool read_only;
	struct qs_steer_table *table; /* the map itself; a copy if read_only */
};

/* With descriptors of -1. NULL: no memory. */
struct qs_steer *qs_steer_new(void);
/* Sets table, from table_fd. */
int qs_steer_table_map(struct qs_steer *steer);

#endif
