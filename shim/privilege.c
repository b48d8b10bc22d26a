/* SPDX-License-Identifier: MIT */
/* setuid and its like, capset: what the app gives up, the engine gives up too. */
#include "privilege.h"

#include "ask.h"
#include "raw.h"
#include "real.h"
#include "state.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

/*
 * Theory. engine/privilege.c decides; here it is told when to look. It would see by itself within a second, but
 * a program that has dropped its privileges must be able to rely on it when the call returns. An engine thread needs to
 * be told only what the kernel keeps a thread: glibc takes users and groups to all threads. A forked child tells as
 * well, since it can't know whether its engine cares; nobody answers where there is no engine.
 */

void qs_privilege_follow(const struct qs_mirror *call)
{
	struct qs_control_req req = {.op = QS_OP_PRIVILEGE};
	struct qs_control_reply reply;

	if (!qs_may_look() || !qs_state.has_identity)
		return;
	if (call)
		req.mirror = *call;
	qs_ask(&req, -1, &reply, NULL, 0, false);
}

void qs_privilege_follow_prctl(int option, const unsigned long argument[4])
{
	struct qs_mirror call = {.option = option};

	switch (option) {
	case PR_SET_KEEPCAPS:
	case PR_SET_SECUREBITS:
	case PR_CAPBSET_DROP:
	case PR_SET_NO_NEW_PRIVS:
		break;
	case PR_CAP_AMBIENT:
		if (argument[0] != PR_CAP_AMBIENT_IS_SET)
			break;
		return;
	default:
		return;
	}
	for (int i = 0; i < 4; i++)
		call.argument[i] = argument[i];
	qs_privilege_follow(&call);
}

void qs_privilege_follow_capset(const void *header, const void *data)
{
	struct __user_cap_header_struct head;
	struct __user_cap_data_struct sets[2] = {0};
	struct qs_mirror call = {.capset = true};

	memcpy(&head, header, sizeof(head));
	memcpy(sets, data,
	       head.version == _LINUX_CAPABILITY_VERSION_1 ? sizeof(sets[0]) : sizeof(sets));
	for (int i = 0; i < 2; i++) {
		call.effective[i] = sets[i].effective;
		call.permitted[i] = sets[i].permitted;
		call.inheritable[i] = sets[i].inheritable;
	}
	qs_privilege_follow(&call);
}

QS_EXPORT int setuid(uid_t uid)
{
	int rc = qs_real.setuid(uid);

	if (rc == 0)
		qs_privilege_follow(NULL);
	return rc;
}

QS_EXPORT int setreuid(uid_t real, uid_t effective)
{
	int rc = qs_real.setreuid(real, effective);

	if (rc == 0)
		qs_privilege_follow(NULL);
	return rc;
}

QS_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	int rc = qs_real.setresuid(real, effective, saved);

	if (rc == 0)
		qs_privilege_follow(NULL);
	return rc;
}

/* libc has it, and no header that says so. */
int capset(void *header, const void *data);

QS_EXPORT int capset(void *header, const void *data)
{
	int rc = qs_real.capset(header, data);

	if (rc == 0)
		qs_privilege_follow_capset(header, data);
	return rc;
}
