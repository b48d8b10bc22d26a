/* SPDX-License-Identifier: MIT */
/* The engine's side of status page and option page (status.h): slots and path figures. */
#ifndef QS_PAGES_H
#define QS_PAGES_H

#include "status.h"

#include <stdbool.h>

struct qs_pages {
	int status_fd; /* O_RDONLY descriptor, to hand out */
	int options_fd;
	struct qs_page *page;
	struct qs_options *options; /* written by apps: hostile, copy before use */
	/* The workers of an engine share the pages, and each takes and gives only its own part. */
	bool borrowed; /* the mappings and descriptors are another one's */
	uint32_t first_slot, n_slots, first_path, n_paths;
	uint32_t *next; /* released slots in order, so that an old mark stays readable for long */
	uint32_t free_head, free_tail, n_free;
	uint32_t n_touched; /* from first_slot on; those after it were never taken */
	uint8_t path_used[QS_PATHS_MAX];
	uint64_t options_ignored; /* by sockets whose slots are another's now */
};
#define QS_PAGES_PARTS_MAX 16u
#define QS_SLOT_NONE UINT32_MAX
#define QS_SLOT_REST                                                                               \
	4096u /* so many others are released before a slot is taken again, while untouched ones    \
		 are left */

/* Makes both memfds, for `parts` who share them (1 to QS_PAGES_PARTS_MAX); this is part 0. 0 or -errno. */
int qs_pages_init(struct qs_pages *pages, uint64_t engine, unsigned parts);
/* Another part (1 to parts - 1) of the same pages, for another thread; `of` must outlive it. 0 or -ENOMEM. */
int qs_pages_share(struct qs_pages *pages, const struct qs_pages *of, unsigned part);
void qs_pages_fini(struct qs_pages *pages);

/* Takes the slot that was released first, or one never taken; raises its generation; state
 * CONNECTING. QS_SLOT_NONE if all are taken. */
uint32_t qs_pages_take(struct qs_pages *pages, bool server, const struct qs_options *options);
/* Gives it back; what it says stays readable until it is taken again. */
void qs_pages_release(struct qs_pages *pages, uint32_t slot);
static inline struct qs_slot *qs_pages_slot(struct qs_pages *pages, uint32_t slot)
{
	return &pages->page->slots[slot];
}
/* Brackets around changes of the plain fields. */
void qs_slot_begin(struct qs_slot *slot);
void qs_slot_end(struct qs_slot *slot);

/* An index into page->paths; those that come too late share the last one of this part. */
uint32_t qs_pages_path_take(struct qs_pages *pages);
void qs_pages_path_release(struct qs_pages *pages, uint32_t path);

#endif
