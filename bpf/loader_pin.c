/* SPDX-License-Identifier: MIT */
/* Pins of the steering program and its maps in a BPF file system. */
#include "loader.h"
#include "loader_parts.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define DIR_MODE 0755
#define PROGRAM_MODE 0444
#define MAP_MODES 0666

static const char *const names[] = {QS_STEER_PROGRAM, QS_STEER_MAP_SLOTS, QS_STEER_MAP_TABLE,
				    QS_STEER_MAP_COUNTS};
#define N_NAMES (sizeof(names) / sizeof(*names))

void qs_steer_path(int family, const uint8_t *ip, uint16_t port, char out[static QS_STEER_PATH_MAX])
{
	size_t len = family == AF_INET ? 4 : 16;
	int n = snprintf(out, QS_STEER_PATH_MAX, "/sys/fs/bpf/quicshim-udp%c-%u-",
			 family == AF_INET ? '4' : '6', port);

	for (size_t i = 0; i < len; i++)
		n += snprintf(out + n, QS_STEER_PATH_MAX - (size_t)n, "%02x", ip[i]);
}

static int path_of(char out[static PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Copies dir without slashes at its end, and its parent. */
static int split(const char *dir, char clean[static PATH_MAX], char parent[static PATH_MAX])
{
	size_t len = strlen(dir);
	char *slash;

	while (len > 0 && dir[len - 1] == '/')
		len--;
	if (len == 0)
		return -EINVAL;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(clean, dir, len);
	clean[len] = '\0';
	memcpy(parent, clean, len + 1);
	slash = strrchr(parent, '/');
	/* The kernel keeps names with dots for itself. */
	if (strchr(slash ? slash + 1 : parent, '.'))
		return -EINVAL;
	if (!slash)
		memcpy(parent, ".", 2);
	else if (slash == parent)
		slash[1] = '\0';
	else
		*slash = '\0';
	return 0;
}

static int is_bpf_fs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return -errno;
	return (unsigned long)fs.f_type == BPF_FS_MAGIC ? 0 : -ENOTSUP;
}

static int pin_one(int fd, const char *dir, const char *name, uid_t owner, gid_t group, mode_t mode)
{
	char path[PATH_MAX];
	int result = path_of(path, dir, name);

	if (result)
		return result;
	if (bpf_obj_pin(fd, path) || chmod(path, mode))
		return -errno;
	if ((owner != (uid_t)-1 || group != (gid_t)-1) && chown(path, owner, group))
		return -errno;
	return 0;
}

static void remove_all(const char *dir)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < N_NAMES; i++) {
		if (path_of(path, dir, names[i]) == 0)
			unlink(path);
	}
	rmdir(dir);
}

static int pin_all(const struct qs_steer *steer, const char *dir, const struct qs_steer_access *to)
{
	const int maps[] = {steer->slots_fd, steer->table_fd, steer->counts_fd};
	int result = pin_one(steer->program_fd, dir, names[0], (uid_t)-1, (gid_t)-1, PROGRAM_MODE);

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps) && !result; i++)
		result = pin_one(maps[i], dir, names[i + 1], to->owner, to->group, to->mode);
	return result;
}

int qs_steer_pin(const struct qs_steer *steer, const char *dir,
		 const struct qs_steer_access *access)
{
	static const struct qs_steer_access caller = {(uid_t)-1, (gid_t)-1, 0600};
	char clean[PATH_MAX], parent[PATH_MAX], fresh[PATH_MAX];
	int result, n;

	if (!access)
		access = &caller;
	if (access->mode & ~(mode_t)MAP_MODES)
		return -EINVAL;
	if ((result = split(dir, clean, parent)) || (result = is_bpf_fs(parent)))
		return result;
	n = snprintf(fresh, sizeof(fresh), "%s-new-%d", clean, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(fresh))
		return -ENAMETOOLONG;
	/* What a process of the same number left half done. */
	remove_all(fresh);
	if (mkdir(fresh, DIR_MODE))
		return -errno;
	result = chmod(fresh, DIR_MODE) ? -errno : pin_all(steer, fresh, access);
	/* Fails if the other one is there, unless it is an empty directory. */
	if (!result && rename(fresh, clean))
		result = errno == ENOTEMPTY || errno == ENOTDIR ? -EEXIST : -errno;
	if (result)
		remove_all(fresh);
	return result;
}

int qs_steer_unpin(const char *dir)
{
	char path[PATH_MAX];
	int found = 0, result;

	for (size_t i = 0; i < N_NAMES; i++) {
		if ((result = path_of(path, dir, names[i])))
			return result;
		if (unlink(path) == 0)
			found++;
		else if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	if (!found)
		return -ENOENT;
	if (rmdir(dir) && errno != ENOTEMPTY)
		return -errno;
	return 0;
}

static int get(const char *dir, const char *name, unsigned flags, int *out)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = flags);
	char path[PATH_MAX];
	int result = path_of(path, dir, name);

	if (result)
		return result;
	*out = bpf_obj_get_opts(path, &opts);
	return *out < 0 ? -errno : 0;
}

/* The map's number, in *id, if it has that shape. */
static int map_check(int fd, unsigned type, size_t value_size, unsigned max_entries, uint32_t *id)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return errno == EINVAL ? -EPROTO : -errno;
	*id = info.id;
	return info.type == type && info.key_size == sizeof(uint32_t) &&
			       info.value_size == value_size && info.max_entries == max_entries
		       ? 0
		       : -EPROTO;
}

/* Whether the program is the one that uses these maps. */
static int program_check(int fd, const uint32_t ids[static 3])
{
	uint32_t used[8] = {0};
	struct bpf_prog_info info = {
		.nr_map_ids = sizeof(used) / sizeof(*used),
		.map_ids = (uintptr_t)used,
	};
	uint32_t len = sizeof(info), found = 0;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return errno == EINVAL ? -EPROTO : -errno;
	if (info.type != BPF_PROG_TYPE_SK_REUSEPORT)
		return -EPROTO;
	/* Without privilege the kernel does not tell. */
	if (info.nr_map_ids == 0)
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < info.nr_map_ids && k < sizeof(used) / sizeof(*used); k++)
			found += used[k] == ids[i];
	}
	return found == 3 ? 0 : -EPROTO;
}

static int all_check(const struct qs_steer *steer)
{
	uint32_t ids[3];
	int result;

	if ((result = map_check(steer->slots_fd, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, sizeof(uint64_t),
				QS_STEER_SLOTS, &ids[0])) ||
	    (result = map_check(steer->table_fd, BPF_MAP_TYPE_ARRAY, sizeof(struct qs_steer_table),
				1, &ids[1])) ||
	    (result = map_check(steer->counts_fd, BPF_MAP_TYPE_PERCPU_ARRAY,
				sizeof(struct qs_steer_counts), 1, &ids[2])))
		return result;
	return program_check(steer->program_fd, ids);
}

static int check_and_map(struct qs_steer *steer)
{
	int result = all_check(steer);

	if (!result)
		result = qs_steer_table_map(steer);
	if (!result && steer->table->magic != QS_STEER_MAGIC)
		result = -EPROTO;
	return result;
}

void qs_steer_fds(const struct qs_steer *steer, int fds[static 4])
{
	fds[0] = steer->program_fd;
	fds[1] = steer->slots_fd;
	fds[2] = steer->table_fd;
	fds[3] = steer->counts_fd;
}

int qs_steer_adopt(struct qs_steer **out, const int fds[static 4])
{
	struct qs_steer *steer = qs_steer_new();
	int result;

	*out = NULL;
	if (!steer) {
		for (unsigned i = 0; i < 4; i++)
			close(fds[i]);
		return -ENOMEM;
	}
	steer->program_fd = fds[0];
	steer->slots_fd = fds[1];
	steer->table_fd = fds[2];
	steer->counts_fd = fds[3];
	result = check_and_map(steer);
	if (result) {
		qs_steer_free(steer);
		return result;
	}
	*out = steer;
	return 0;
}

int qs_steer_open(struct qs_steer **out, const char *dir, bool read_only)
{
	unsigned flags = read_only ? BPF_F_RDONLY : 0;
	struct qs_steer *steer;
	struct stat st;
	int result;

	*out = NULL;
	if (stat(dir, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	steer = qs_steer_new();
	if (!steer)
		return -ENOMEM;
	steer->read_only = read_only;
	if (!(result = get(dir, QS_STEER_PROGRAM, BPF_F_RDONLY, &steer->program_fd)) &&
	    !(result = get(dir, QS_STEER_MAP_SLOTS, flags, &steer->slots_fd)) &&
	    !(result = get(dir, QS_STEER_MAP_TABLE, flags, &steer->table_fd)) &&
	    !(result = get(dir, QS_STEER_MAP_COUNTS, BPF_F_RDONLY, &steer->counts_fd)) &&
	    !(result = check_and_map(steer))) {
		*out = steer;
		return 0;
	}
	qs_steer_free(steer);
	return result;
}
