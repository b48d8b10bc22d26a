/* SPDX-License-Identifier: MIT */
/* The engine's side of status page and option page (status.h): slots and path figures. */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int page_new(const char *name, size_t bytes, int *fd, void **map)
{
	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, (off_t)bytes) < 0)
		return -errno;
	*map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (*map == MAP_FAILED) {
		*map = NULL;
		return -errno;
	}
	return 0;
}

/* What is handed out can't be made writable: sealed, and opened anew for reading where /proc
 * allows. */
static void seal_status(struct qs_pages *pages)
{
	char path[64];
	int fd;

	fcntl(pages->status_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", pages->status_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		close(pages->status_fd);
		pages->status_fd = fd;
	}
}

/* The slots and paths that a part may take, and its list of released slots. */
static int take_part(struct qs_pages *pages, unsigned part, unsigned parts)
{
	pages->n_slots = QS_SLOTS_MAX / parts;
	pages->n_paths = QS_PATHS_MAX / parts;
	pages->first_slot = part * pages->n_slots;
	pages->first_path = part * pages->n_paths;
	pages->free_head = pages->free_tail = QS_SLOT_NONE;
	pages->next = malloc(pages->n_slots * sizeof(uint32_t));
	return pages->next != NULL ? 0 : -ENOMEM;
}

int qs_pages_share(struct qs_pages *pages, const struct qs_pages *of, unsigned part)
{
	*pages = (struct qs_pages){.borrowed = true,
				   .status_fd = of->status_fd,
				   .options_fd = of->options_fd,
				   .page = of->page,
				   .options = of->options};
	return take_part(pages, part, QS_SLOTS_MAX / of->n_slots);
}

int qs_pages_init(struct qs_pages *pages, uint64_t engine, unsigned parts)
{
	uint16_t base = 0;
	void *status = NULL, *options = NULL;
	int rv;

	*pages = (struct qs_pages){.status_fd = -1, .options_fd = -1};
	rv = page_new("quicshim-status", QS_PAGE_BYTES, &pages->status_fd, &status);
	pages->page = status;
	if (rv == 0)
		rv = page_new("quicshim-options", QS_OPTION_PAGE_BYTES, &pages->options_fd,
			      &options);
	pages->options = options;
	if (rv == 0)
		rv = take_part(pages, 0, parts);
	if (rv < 0) {
		qs_pages_fini(pages);
		return rv;
	}
	seal_status(pages);
	fcntl(pages->options_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	/* A random start: marks that an earlier engine of the same name gave out don't fit our
	 * slots. */
	if (getrandom(&base, sizeof(base), GRND_NONBLOCK) < 0)
		base = (uint16_t)getpid();
	pages->page->magic = QS_PAGE_MAGIC;
	pages->page->engine = engine;
	pages->page->version = QS_PROTOCOL_VERSION;
	pages->page->n_slots = QS_SLOTS_MAX;
	pages->page->pid = getpid();
	pages->page->first_generation = base;
	return 0;
}

void qs_pages_fini(struct qs_pages *pages)
{
	free(pages->next);
	pages->next = NULL;
	if (pages->borrowed)
		return;
	if (pages->page != NULL)
		munmap(pages->page, QS_PAGE_BYTES);
	if (pages->options != NULL)
		munmap(pages->options, QS_OPTION_PAGE_BYTES);
	if (pages->status_fd >= 0)
		close(pages->status_fd);
	if (pages->options_fd >= 0)
		close(pages->options_fd);
	*pages = (struct qs_pages){.status_fd = -1, .options_fd = -1};
}

void qs_slot_begin(struct qs_slot *slot)
{
	atomic_store_explicit(&slot->seq,
			      atomic_load_explicit(&slot->seq, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void qs_slot_end(struct qs_slot *slot)
{
	atomic_store_explicit(&slot->seq,
			      atomic_load_explicit(&slot->seq, memory_order_relaxed) + 1,
			      memory_order_release);
}

uint32_t qs_pages_take(struct qs_pages *pages, bool server, const struct qs_options *options)
{
	uint32_t index;
	struct qs_slot *slot;
	uint16_t generation;

	/* Untouched ones cost memory, those released lately may still be asked about. */
	if (pages->n_touched < pages->n_slots && pages->n_free < QS_SLOT_REST) {
		index = pages->first_slot + pages->n_touched++;
	} else if (pages->n_free > 0) {
		index = pages->free_head;
		pages->free_head = pages->next[index - pages->first_slot];
		pages->n_free--;
	} else {
		return QS_SLOT_NONE;
	}
	slot = &pages->page->slots[index];
	/* An untouched slot is all zero, so that its page costs nothing: the base stands in the
	 * page's head. */
	generation =
		(uint16_t)((slot->generation ? slot->generation : pages->page->first_generation) +
			   1);
	if (generation == 0)
		generation = 1;
	qs_slot_begin(slot);
	memset((char *)slot + sizeof(slot->seq), 0, sizeof(*slot) - sizeof(slot->seq));
	slot->generation = generation;
	slot->state = QS_SLOT_CONNECTING;
	slot->server = server;
	slot->path = QS_PATHS_MAX;
	qs_slot_end(slot);
	pages->options_ignored += pages->options[index].ignored;
	if (options != NULL)
		pages->options[index] = *options;
	else
		memset(&pages->options[index], 0, sizeof(struct qs_options));
	pages->options[index].generation = generation;
	pages->options[index].accepted = 0;
	pages->options[index].told = 0;
	return index;
}

void qs_pages_release(struct qs_pages *pages, uint32_t slot)
{
	struct qs_slot *s = qs_pages_slot(pages, slot);

	if (s->state != QS_SLOT_ENDED) {
		qs_slot_begin(s);
		s->state = QS_SLOT_ENDED;
		qs_slot_end(s);
	}
	pages->next[slot - pages->first_slot] = QS_SLOT_NONE;
	if (pages->n_free++ == 0)
		pages->free_head = slot;
	else
		pages->next[pages->free_tail - pages->first_slot] = slot;
	pages->free_tail = slot;
}

uint32_t qs_pages_path_take(struct qs_pages *pages)
{
	uint32_t last = pages->first_path + pages->n_paths - 1;

	for (uint32_t i = pages->first_path; i < last; i++) {
		if (!pages->path_used[i]) {
			pages->path_used[i] = 1;
			memset((void *)&pages->page->paths[i], 0, sizeof(pages->page->paths[i]));
			return i;
		}
	}
	return last;
}

void qs_pages_path_release(struct qs_pages *pages, uint32_t path)
{
	if (path < QS_PATHS_MAX)
		pages->path_used[path] = 0;
}
