/* SPDX-License-Identifier: MIT */
/* What the files of udp.h share among themselves. */
#ifndef QS_UDP_PARTS_H
#define QS_UDP_PARTS_H

#include "udp.h"

#include <errno.h>

#define QS_UDP_TRIES 4 /* of a call that failed with what may be an ICMP error's errno */

static inline socklen_t qs_udp_address_len(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* Host byte order. sin_port and sin6_port lie in the same place. */
static inline uint16_t qs_udp_address_port(const struct sockaddr_storage *address)
{
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

/* Whether an errno may be a stale ICMP error's. */
static inline bool qs_udp_error_soft(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EPROTO:
	case EACCES:
	case EOPNOTSUPP:
	case EMSGSIZE:
		return true;
	default:
		return false;
	}
}

/* A socket, V6ONLY for IPv6, with the options that decide about routes. The descriptor or
 * -errno. */
int qs_udp_socket(int family, const struct qs_udp_options *options);

#endif
