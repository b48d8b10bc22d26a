/* SPDX-License-Identifier: MIT */
/* Loads the steering program and attaches it to sockets. */
#include "loader.h"
#include "loader_parts.h"
#include "steer.skel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

static const char *const state_names[] = {
	[QS_STEER_FREE] = "free",
	[QS_STEER_DRAINING] = "draining",
	[QS_STEER_ACCEPTING] = "accepting",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == QS_STEER_N_STATES, "a name each");

static const char *const count_names[] = {
	[QS_STEER_STEERED] = "steered", [QS_STEER_NEW] = "new",
	[QS_STEER_UNKNOWN] = "unknown", [QS_STEER_STRAY] = "stray",
	[QS_STEER_SCANNED] = "scanned", [QS_STEER_NOBODY] = "nobody",
};
_Static_assert(sizeof(count_names) / sizeof(*count_names) == QS_STEER_N_COUNTS, "a name each");

const char *qs_steer_state_name(enum qs_steer_state state)
{
	return (unsigned)state < QS_STEER_N_STATES ? state_names[state] : "?";
}

const char *qs_steer_count_name(enum qs_steer_count count)
{
	return (unsigned)count < QS_STEER_N_COUNTS ? count_names[count] : "?";
}

struct qs_steer *qs_steer_new(void)
{
	struct qs_steer *steer = calloc(1, sizeof(*steer));

	if (steer)
		steer->program_fd = steer->slots_fd = steer->table_fd = steer->counts_fd = -1;
	return steer;
}

void qs_steer_free(struct qs_steer *steer)
{
	if (!steer)
		return;
	if (steer->table)
		munmap(steer->table, sizeof(*steer->table));
	if (steer->counts_fd >= 0)
		close(steer->counts_fd);
	if (steer->table_fd >= 0)
		close(steer->table_fd);
	if (steer->slots_fd >= 0)
		close(steer->slots_fd);
	if (steer->program_fd >= 0)
		close(steer->program_fd);
	free(steer);
}

int qs_steer_table_map(struct qs_steer *steer)
{
	/* The kernel maps only what is open for writing. */
	int flags = steer->read_only ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *at = mmap(NULL, sizeof(*steer->table), PROT_READ | PROT_WRITE, flags,
			steer->read_only ? -1 : steer->table_fd, 0);
	uint32_t key = 0;

	if (at == MAP_FAILED)
		return -errno;
	steer->table = at;
	if (steer->read_only && bpf_map_lookup_elem(steer->table_fd, &key, at))
		return -errno;
	return 0;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Everything but the magic is there before the program can run. */
static int table_fill(struct qs_steer_table *table, uint16_t host)
{
	uint16_t first[QS_STEER_SLOTS];
	char *at = (char *)first;
	size_t left = sizeof(first);

	while (left) {
		ssize_t n = getrandom(at, left, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	for (unsigned i = 0; i < QS_STEER_SLOTS; i++)
		table->slots[i].word = qs_steer_slot_word(QS_STEER_FREE, first[i]);
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++)
		table->buckets[i] = qs_steer_bucket_word(QS_STEER_NONE, QS_STEER_NONE);
	table->host = host;
	table->magic = QS_STEER_MAGIC;
	return 0;
}

static int own(int fd, int *out)
{
	*out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *out < 0 ? -errno : 0;
}

int qs_steer_load(struct qs_steer **out, uint16_t host)
{
	/* It prints into the host process otherwise. Set for all of the process, so put back. */
	libbpf_print_fn_t printer = libbpf_set_print(silent);
	struct steer_bpf *skeleton = NULL;
	struct qs_steer *steer = qs_steer_new();
	int result = -ENOMEM;

	*out = NULL;
	if (!steer)
		goto out;
	skeleton = steer_bpf__open_and_load();
	if (!skeleton) {
		result = errno ? -errno : -EINVAL;
		goto out;
	}
	if ((result = own(bpf_program__fd(skeleton->progs.steer_select), &steer->program_fd)) ||
	    (result = own(bpf_map__fd(skeleton->maps.steer_slots), &steer->slots_fd)) ||
	    (result = own(bpf_map__fd(skeleton->maps.steer_table), &steer->table_fd)) ||
	    (result = own(bpf_map__fd(skeleton->maps.steer_counts), &steer->counts_fd)) ||
	    (result = qs_steer_table_map(steer)) || (result = table_fill(steer->table, host)))
		goto out;
	*out = steer;
	steer = NULL;
out:
	steer_bpf__destroy(skeleton);
	qs_steer_free(steer);
	libbpf_set_print(printer);
	return result;
}

uint16_t qs_steer_host(const struct qs_steer *steer)
{
	return steer->table->host;
}

static bool is_bound(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in; /* the port is in the same place in both families */
		struct sockaddr_in6 in6;
	} at = {0};
	socklen_t len = sizeof(at);

	return getsockname(fd, &at.any, &len) == 0 && at.in.sin_port != 0;
}

int qs_steer_attach(const struct qs_steer *steer, int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		return -errno;
	if (protocol != IPPROTO_UDP)
		return -ENOTSUP;
	/* The kernel would take it, and make a group of its own which the bind leaves. */
	if (!is_bound(fd))
		return -EDESTADDRREQ;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &steer->program_fd,
		       sizeof(steer->program_fd)))
		return -errno;
	return 0;
}

int qs_steer_counts(const struct qs_steer *steer, struct qs_steer_counts *out)
{
	int cpus = libbpf_num_possible_cpus();
	struct qs_steer_counts *each;
	uint32_t key = 0;
	int result = 0;

	if (cpus < 0)
		return cpus;
	each = calloc((size_t)cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	*out = (struct qs_steer_counts){0};
	if (bpf_map_lookup_elem(steer->counts_fd, &key, each))
		result = -errno;
	for (int cpu = 0; cpu < cpus && !result; cpu++) {
		for (unsigned i = 0; i < QS_STEER_N_COUNTS; i++)
			out->n[i] += each[cpu].n[i];
	}
	free(each);
	return result;
}
