/* SPDX-License-Identifier: MIT */
/* The engine's status and option pages as this process sees them. */
#ifndef QS_PAGES_H
#define QS_PAGES_H

#include "../engine/status.h"

/* What a slot said at one moment. */
struct qs_slot_view {
	uint8_t state; /* enum qs_slot_state */
	bool server;
	bool fin_given;
	bool held;
	int error;
	uint32_t path;
	struct qs_addr local, peer;
	uint64_t sent_bytes, acked_bytes, received_bytes;
	char reason[148];
};

/*
 * Copies the slot that a mark names. Asks the engine for its pages if they are not mapped yet, or
 * if the slot belongs to an engine that was started later; not in a sandbox. False: no such slot
 * (any more). Thread- and async-signal-safe; leaves errno alone.
 */
bool qs_pages_slot(const struct qs_mark *mark, struct qs_slot_view *out);
/*
 * Maps the pages of the engine that answered last if this process does not have them: when an engine has
 * died it is too late to ask. One round trip for each engine. -ENOMEM, -EMFILE or -ENFILE if there is no room for
 * them: without them a reset can't be told from the end of the data.
 */
int qs_pages_prepare(void);
/* Which engine's pages were mapped last (qs_ask_engine); -1 = none yet. */
int qs_pages_engine(void);
/* The connection's engine was ours, no page of it is known, and it is gone. Leaves errno alone. */
bool qs_pages_lost(int fd, const struct qs_mark *mark);
/* The shared option slot of a mark, NULL if there is none. Lives as long as the process. */
struct qs_options *qs_pages_options(const struct qs_mark *mark);
/* An errno of this mark's is to be told: true for the first who asks, in whatever process, and where no page can say. */
bool qs_pages_take_error(const struct qs_mark *mark);
/* Figures of the path that a slot named. False if the mark's page is not there. */
bool qs_pages_figures(const struct qs_mark *mark, uint32_t path, struct qs_path_figures *out);
/* Maps the pages behind two descriptors, and closes them. 0, -ENOMEM, or -EPROTO if they are none. */
int qs_pages_adopt(int status_fd, int options_fd);

#endif
