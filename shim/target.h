/* SPDX-License-Identifier: MIT */
/* Where a connect() goes: the address, the names the app resolved to it, and the rule. */
#ifndef QS_TARGET_H
#define QS_TARGET_H

#include "../engine/control.h"
#include "../engine/policy.h"

/* A destination as the policy and the engine see it. */
struct qs_target {
	struct sockaddr_storage addr;
	struct qs_addr dest;
	unsigned n_names;
	const struct qs_rule *rule;
};

/* All of these are async-signal-safe and leave errno alone. */

/* Fills in all of *target; names go where the header wants them. False if the policy maps no
 * connection to it. */
bool qs_target_judge(const struct sockaddr *addr, socklen_t len, struct qs_target *target,
		     char names[QS_NAMES_MAX][QS_NAME_MAX]);
/* v4-mapped becomes IPv4. */
void qs_target_unmap(struct qs_addr *addr);
/*
 * What the kernel would say at once about the way to it: 0 or -errno. A non-blocking connect()
 * gives it as its result; a datagram socket asks the same question and sends nothing.
 */
int qs_target_route(const struct qs_target *target, const struct qs_connect_req *req);

#endif
