/* SPDX-License-Identifier: MIT */
/* What the threads of a process, and its engine, may do. */
#include "harness.h"

#include <dirent.h>
#include <linux/capability.h>
#include <sys/syscall.h>

struct may {
	unsigned uid[4], gid[4];
	char groups[64];
	unsigned long long permitted, effective, inheritable, bounding, ambient;
	unsigned no_new_privs;
};

static bool read_may(const char *path, struct may *out)
{
	FILE *file = fopen(path, "r");
	char line[4096];

	memset(out, 0, sizeof(*out));
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		sscanf(line, "Uid: %u %u %u %u", &out->uid[0], &out->uid[1], &out->uid[2],
		       &out->uid[3]);
		sscanf(line, "Gid: %u %u %u %u", &out->gid[0], &out->gid[1], &out->gid[2],
		       &out->gid[3]);
		sscanf(line, "Groups: %63[^\n]", out->groups);
		sscanf(line, "CapInh: %llx", &out->inheritable);
		sscanf(line, "CapPrm: %llx", &out->permitted);
		sscanf(line, "CapEff: %llx", &out->effective);
		sscanf(line, "CapBnd: %llx", &out->bounding);
		sscanf(line, "CapAmb: %llx", &out->ambient);
		sscanf(line, "NoNewPrivs: %u", &out->no_new_privs);
	}
	if (file != NULL)
		fclose(file);
	return file != NULL;
}

static void note(const char *what, const struct may *may)
{
	ct_note("%s: uid %u %u %u gid %u groups '%s' inh %llx prm %llx eff %llx bnd %llx amb %llx "
		"nnp %u",
		what, may->uid[0], may->uid[1], may->uid[2], may->gid[1], may->groups,
		may->inheritable, may->permitted, may->effective, may->bounding, may->ambient,
		may->no_new_privs);
}

/* An engine process never needs as much as its app may have, and never asks for new privileges. */
static bool is_no_more(const struct may *engine, const struct may *app)
{
	return memcmp(engine->uid, app->uid, sizeof(app->uid)) == 0 &&
	       memcmp(engine->gid, app->gid, sizeof(app->gid)) == 0 &&
	       strcmp(engine->groups, app->groups) == 0 && !(engine->permitted & ~app->permitted) &&
	       !(engine->effective & ~app->permitted) && !engine->inheritable && !engine->ambient &&
	       !(engine->bounding & ~app->bounding) && engine->no_new_privs;
}

static pid_t engine_of(int listener)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	if (getenv("QS_EXPECT_MAPPED") == NULL ||
	    ct_raw_getsockopt(listener, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return cred.pid;
}

void ct_privileges(const char *what, int listener, bool at_once)
{
	ct_privileges_of(getpid(), what, listener, at_once);
}

void ct_privileges_of(pid_t pid, const char *what, int listener, bool at_once)
{
	struct may mine, other;
	pid_t engine = engine_of(listener);
	char path[400], folder[64];
	struct dirent *entry;
	DIR *tasks;

	snprintf(folder, sizeof(folder), "/proc/%d/task", (int)pid);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	tasks = opendir(folder);
	CHECK(tasks != NULL);
	CHECK(read_may(pid == getpid() ? "/proc/thread-self/status" : path, &mine));
	note(what, &mine);
	while ((entry = readdir(tasks)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s/status", folder, entry->d_name);
		if (entry->d_name[0] != '.' && read_may(path, &other) &&
		    memcmp(&mine, &other, sizeof(mine)) != 0)
			note("another thread", &other);
	}
	closedir(tasks);
	if (engine <= 0 || engine == pid)
		return;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)engine);
	other = mine;
	for (int tries = 0; tries < 3000; tries++) {
		if (!read_may(path, &other))
			return; /* it was a thread of a process that has ended; its successor's pid is not known */
		if (at_once || is_no_more(&other, &mine))
			break;
		usleep(20000);
	}
	if (!is_no_more(&other, &mine))
		note("the engine", &other);
}

int ct_capset(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
		{.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)}};

	return (int)syscall(SYS_capset, &header, data);
}
