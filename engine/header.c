/* SPDX-License-Identifier: MIT */
/* Whether what came over our sockets is what control.h says. The first look at hostile bytes. */
#include "header.h"

#include <string.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static bool is_inet(uint16_t family)
{
	return family == AF_INET || family == AF_INET6;
}

bool qs_header_is_connect(const struct qs_connect_req *req, size_t len)
{
	if (len < offsetof(struct qs_connect_req, filler))
		return false;
	if (req->magic != QS_CONNECT_MAGIC || req->version != QS_PROTOCOL_VERSION ||
	    req->n_names > QS_NAMES_MAX)
		return false;
	if (!is_inet(req->dest.family) || req->dest.port == 0)
		return false;
	if (req->source.family != 0 && !is_inet(req->source.family))
		return false;
	if (req->total < QS_CONNECT_REQ_SIZE || req->total > QS_CONNECT_TOTAL_MAX)
		return false;
	for (unsigned i = 0; i < req->n_names; i++) {
		if (memchr(req->names[i], '\0', QS_NAME_MAX) == NULL)
			return false;
	}
	return memchr(req->device, '\0', sizeof(req->device)) != NULL;
}

bool qs_header_is_control(const struct qs_control_req *req, size_t len)
{
	return len == sizeof(*req) && req->magic == QS_CONTROL_MAGIC &&
	       req->version == QS_PROTOCOL_VERSION;
}

bool qs_header_same_net(int a, int b)
{
	uint64_t cookie_a = 0, cookie_b = 0;
	socklen_t len_a = sizeof(cookie_a), len_b = sizeof(cookie_b);

	/* A kernel that does not know the option says so to both. */
	return getsockopt(a, SOL_SOCKET, SO_NETNS_COOKIE, &cookie_a, &len_a) ==
		       getsockopt(b, SOL_SOCKET, SO_NETNS_COOKIE, &cookie_b, &len_b) &&
	       cookie_a == cookie_b;
}
