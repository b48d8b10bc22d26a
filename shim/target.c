/* SPDX-License-Identifier: MIT */
/* Where a connect() goes: the address, the names the app resolved to it, and the rule. */
#include "target.h"

#include "names.h"
#include "raw.h"
#include "state.h"

#include <string.h>

#define IN6_LEN_MIN 24 /* without sin6_scope_id, as the kernel takes it */

static bool is_v4_mapped(const uint8_t *ip)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, prefix, sizeof(prefix));
}

void qs_target_unmap(struct qs_addr *addr)
{
	if (addr->family != AF_INET6 || !is_v4_mapped(addr->ip))
		return;
	addr->family = AF_INET;
	memcpy(addr->ip, addr->ip + 12, 4);
	memset(addr->ip + 4, 0, 12);
}

/* What the kernel would connect to: unspecified becomes loopback. */
static void normalise(struct qs_addr *dest)
{
	static const uint8_t none[16];

	qs_target_unmap(dest);
	if (dest->family == AF_INET && !memcmp(dest->ip, none, 4)) {
		dest->ip[0] = 127;
		dest->ip[3] = 1;
	} else if (dest->family == AF_INET6 && !memcmp(dest->ip, none, 16)) {
		dest->ip[15] = 1;
	}
}

bool qs_target_judge(const struct sockaddr *addr, socklen_t len, struct qs_target *target,
		     char names[QS_NAMES_MAX][QS_NAME_MAX])
{
	const char *list[QS_NAMES_MAX];

	if (!qs_state.policy || !qs_state.has_connect || !qs_state.has_identity)
		return false;
	memset(&target->addr, 0, sizeof(target->addr));
	memcpy(&target->addr, addr, len < sizeof(target->addr) ? len : sizeof(target->addr));
	if (target->addr.ss_family == AF_INET6 && len < IN6_LEN_MIN)
		return false;
	if (qs_addr_from_sockaddr(&target->dest, (struct sockaddr *)&target->addr,
				  target->addr.ss_family == AF_INET6 && len >= IN6_LEN_MIN
					  ? (socklen_t)sizeof(struct sockaddr_in6)
					  : len) < 0)
		return false;
	normalise(&target->dest);
	target->n_names = qs_names_lookup(&target->dest, names);
	for (unsigned i = 0; i < target->n_names; i++)
		list[i] = names[i];
	target->rule = qs_policy_find_connect(qs_state.policy, (struct sockaddr *)&target->addr,
					      list, target->n_names);
	return qs_rule_maps(target->rule);
}

int qs_target_route(const struct qs_target *target, const struct qs_connect_req *req)
{
	int sock, rc;

	if (req->device[0] || req->mark || target->rule->has_endpoint_addr ||
	    (target->dest.family == AF_INET && target->dest.ip[0] == 127))
		return 0;
	sock = qs_sys_socket(target->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return 0;
	rc = qs_sys_connect(sock, &target->addr,
			    target->addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
							      : sizeof(struct sockaddr_in6));
	qs_sys_close(sock);
	return rc == -ENETUNREACH || rc == -EHOSTUNREACH || rc == -EINVAL ? rc : 0;
}
