/* SPDX-License-Identifier: MIT */
/* Gives up the engine's privileges as the program gives up its own. */

/*
 * Theory (quicshim(7), PRIVILEGES, says it for users).
 *
 * A thread of the app is in glibc's hands where users and groups change: setuid(2) and its like
 * reach all threads. What the kernel keeps a thread (capabilities, securebits, the bounding set,
 * no_new_privs) the shim sends, and this thread makes the same call. It never has less than the
 * others: glibc ends a process where setuid() fails in one thread and succeeds in another.
 *
 * A process gives up at its start what it will never need (NEEDED below says what that is), and
 * then follows its *guardians*: the process that started it, and the one that chose its identity if
 * that is another (a master that starts workers). It never has a capability, or a way to be a user,
 * that none of its living guardians has. A child that drops its privileges does not count while its
 * parent, a guardian, lives. Guardians end: a daemon's first process does, after fork. Then those
 * that asked meanwhile are looked at, and of the first that lives, the oldest ancestor in its
 * session becomes the guardian. Nothing that a process says counts, only what the kernel says of
 * it: so no process can make the engine keep, or give up, what it should not. What is given up never
 * comes back.
 *
 * A guardian that could still return (real, effective and saved user differ) has dropped nothing.
 */
#include "privilege.h"

#include "engine.h"
#include "listen.h"
#include "log.h"
#include "process.h"
#include "worker.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_NS QS_NSEC
#define ANCESTORS_MAX 64

#define BIT(cap) (UINT64_C(1) << (cap))

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/*
 * What an engine of root may need while its guardian is root: ports below 1024; marks, devices, large
 * buffers, and steering programs (NET_ADMIN, NET_RAW, BPF); to read keys of other users, as root
 * could (DAC_READ_SEARCH; not to write anywhere); and to follow its guardian (SETUID, SETGID,
 * SETPCAP). CHOWN is for udp-owner. UDP sockets stay root's when the engine becomes somebody else: so root's next
 * daemon can share their address.
 */
#define NEEDED                                                                                     \
	(BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_BPF) |        \
	 BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |         \
	 BIT(CAP_CHOWN))

static uint64_t permitted_now(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

/* Permitted and effective become `keep`, nothing is inheritable. */
static bool set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
		{.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)}};

	return syscall(SYS_capset, &header, data) == 0;
}

static void bound(uint64_t keep)
{
	for (unsigned cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* False if there is something for bound() to drop, and it may. */
static bool is_bounded_by(uint64_t keep, uint64_t permitted)
{
	for (unsigned cap = 0; (permitted & BIT(CAP_SETPCAP)) && cap < 64; cap++)
		if ((NEEDED & ~keep) >> cap & 1 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0)
			return false;
	return true;
}

static void look_at_bottom(struct qs_engine *engine)
{
	engine->privilege.at_bottom = geteuid() != 0 && permitted_now() == 0;
}

/*
 * Bare system calls, by each worker for itself: in an engine that was a thread before, glibc's list of threads is its
 * former host's.
 */
static bool become(const struct qs_process *who)
{
	uint64_t now = permitted_now();
	gid_t gid = who->gid[1];
	uid_t uid = who->uid[1];

	if ((now & BIT(CAP_SETGID)) && (syscall(SYS_setgroups, who->n_groups, who->groups) < 0 ||
					syscall(SYS_setresgid, gid, gid, gid) < 0))
		return false;
	return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_setresuid, uid, uid, uid) == 0;
}

struct change {
	const struct qs_process *who; /* NULL = no other user */
	uint64_t keep, bounding;
};

static void change_here(struct qs_engine *engine, const void *argument)
{
	const struct change *change = argument;

	(void)engine;
	bound(change->bounding & NEEDED);
	if (change->who != NULL && !become(change->who))
		qs_log("can't become uid %u: %s", (unsigned)change->who->uid[1],
		       strerrorname_np(errno));
	if (!set_capabilities(change->keep))
		qs_log("capabilities stay: %s", strerrorname_np(errno));
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

/* Follows what all guardians together have. `who` is NULL if they agree on no user. */
static void follow(struct qs_engine *engine, const struct qs_process *who, uint64_t permitted,
		   uint64_t bounding)
{
	uint64_t before = permitted_now();
	bool moves = who != NULL && who->uid[1] != geteuid() && (before & BIT(CAP_SETUID));
	struct change change = {
		.who = moves ? who : NULL, .keep = before & permitted, .bounding = bounding};

	if (!moves && change.keep == before && is_bounded_by(bounding, before))
		return;
	change_here(engine, &change);
	qs_workers_do(engine, change_here, &change);
	qs_log("privileges given up: uid %u, gid %u, capabilities %llx", (unsigned)geteuid(),
	       (unsigned)getegid(), (unsigned long long)permitted_now());
	look_at_bottom(engine);
}

/* --- who counts --- */

static bool is_alive(const struct qs_birth *birth, struct qs_process *out)
{
	return birth->pid > 0 && qs_process_read(birth->pid, out) == 0 &&
	       out->started == birth->started;
}

/* The oldest ancestor in the same session, short of init. */
static void climb(struct qs_process *process)
{
	struct qs_process parent;

	for (int i = 0; i < ANCESTORS_MAX && process->parent > 1; i++) {
		if (qs_process_read(process->parent, &parent) < 0 ||
		    parent.session != process->session)
			return;
		*process = parent;
	}
}

static struct qs_birth birth_of(const struct qs_process *process)
{
	return (struct qs_birth){.pid = process->pid, .started = process->started};
}

static void choose_guardian(struct qs_privilege *privilege)
{
	struct qs_process process;

	for (unsigned i = 0; i < QS_CANDIDATES_MAX; i++) {
		if (!is_alive(&privilege->candidates[i], &process))
			continue;
		climb(&process);
		privilege->guardians[0] = birth_of(&process);
		qs_log("pid %d is the guardian of our privileges now", (int)process.pid);
		return;
	}
}

static void look(struct qs_engine *engine)
{
	struct qs_privilege *privilege = &engine->privilege;
	uint64_t permitted = 0, bounding = 0;
	struct qs_process process, first = {0};
	unsigned n = 0;
	bool agreed = true;

	for (unsigned i = 0; i < QS_GUARDIANS_MAX; i++)
		n += is_alive(&privilege->guardians[i], &process);
	if (n == 0)
		choose_guardian(privilege);
	n = 0;
	for (unsigned i = 0; i < QS_GUARDIANS_MAX; i++) {
		if (!is_alive(&privilege->guardians[i], &process))
			continue;
		permitted |= process.permitted;
		bounding |= process.bounding;
		if (n++ == 0)
			first = process;
		agreed =
			agreed && qs_process_is_settled(&process) && process.uid[1] == first.uid[1];
	}
	if (n > 0)
		follow(engine, agreed ? &first : NULL, permitted, bounding);
}

static bool is_ancestor(const struct qs_process *process, pid_t ancestor)
{
	struct qs_process at = *process;

	for (int i = 0; i < ANCESTORS_MAX && at.parent > 1; i++) {
		if (at.parent == ancestor)
			return true;
		if (qs_process_read(at.parent, &at) < 0)
			return false;
	}
	return false;
}

void qs_privilege_init(struct qs_engine *engine, pid_t starter, pid_t origin)
{
	struct qs_privilege *privilege = &engine->privilege;
	struct qs_process process, other;
	unsigned n = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	bound(NEEDED);
	if (!set_capabilities(permitted_now() & NEEDED))
		qs_log("capabilities stay: %s", strerrorname_np(errno));
	look_at_bottom(engine);
	if (privilege->at_bottom || qs_process_read(starter, &process) < 0)
		return;
	privilege->guardians[n++] = birth_of(&process);
	if (origin > 0 && origin != starter && is_ancestor(&process, origin) &&
	    qs_process_read(origin, &other) == 0)
		privilege->guardians[n] = birth_of(&other);
}

static void remember(struct qs_privilege *privilege, struct qs_birth birth)
{
	for (unsigned i = 0; i < QS_CANDIDATES_MAX; i++)
		if (privilege->candidates[i].pid == birth.pid &&
		    privilege->candidates[i].started == birth.started)
			return;
	privilege->candidates[privilege->next_candidate++ % QS_CANDIDATES_MAX] = birth;
}

void qs_privilege_asked(struct qs_engine *engine, pid_t pid)
{
	struct qs_privilege *privilege = &engine->privilege;
	struct qs_process process;

	if (engine->thread || privilege->at_bottom || qs_process_read(pid, &process) < 0)
		return;
	remember(privilege, birth_of(&process));
	look(engine);
}

void qs_privilege_sweep(struct qs_engine *engine)
{
	struct qs_privilege *privilege = &engine->privilege;

	if (engine->thread || engine->worker > 0 || privilege->at_bottom ||
	    engine->now_ns - privilege->looked_ns < LOOK_NS)
		return;
	privilege->looked_ns = engine->now_ns;
	look(engine);
}

/* --- a thread --- */

static bool gives_up(int option)
{
	switch (option) {
	case PR_SET_KEEPCAPS:
	case PR_SET_SECUREBITS:
	case PR_CAPBSET_DROP:
	case PR_CAP_AMBIENT:
	case PR_SET_NO_NEW_PRIVS:
		return true;
	}
	return false;
}

int qs_privilege_mirror(struct qs_engine *engine, pid_t pid, const struct qs_mirror *call)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (!engine->thread || pid != getpid())
		return -EPERM;
	if (call->option) {
		if (!gives_up(call->option))
			return -EINVAL;
		return prctl(call->option, (unsigned long)call->argument[0],
			     (unsigned long)call->argument[1], (unsigned long)call->argument[2],
			     (unsigned long)call->argument[3]) < 0
			       ? -errno
			       : 0;
	}
	if (!call->capset)
		return 0;
	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){.effective = call->effective[i],
							  .permitted = call->permitted[i],
							  .inheritable = call->inheritable[i]};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}
