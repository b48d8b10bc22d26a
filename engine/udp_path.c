/* SPDX-License-Identifier: MIT */
/* What the network says about paths: ICMP errors and the kernel's choice of a route. */
#include "udp_parts.h"

#include <linux/errqueue.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The errno if the message tells of an ICMP error, else 0. */
static int icmp_error(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct sock_extended_err info;

		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		if (info.ee_origin == SO_EE_ORIGIN_ICMP || info.ee_origin == SO_EE_ORIGIN_ICMP6)
			return (int)info.ee_errno;
	}
	return 0;
}

int qs_udp_error(struct qs_udp *udp, struct sockaddr_storage *remote, int *error, uint8_t *quoted,
		 size_t cap, size_t *quoted_len)
{
	union {
		struct cmsghdr align;
		uint8_t octets[512];
	} control;
	struct iovec iov = {.iov_base = quoted, .iov_len = cap};

	for (;;) {
		struct msghdr msg = {
			.msg_name = remote,
			.msg_namelen = sizeof(*remote),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t got = recvmsg(udp->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return 0;
		/* What this host itself found too large is there too; the sender knows already. */
		*error = icmp_error(&msg);
		if (*error == 0 || msg.msg_namelen < sizeof(struct sockaddr_in))
			continue;
		*quoted_len = (size_t)got;
		return 1;
	}
}

static int bind_source(int fd, const struct sockaddr *source)
{
	struct sockaddr_storage address;
	socklen_t len = qs_udp_address_len(source->sa_family);

	memcpy(&address, source, len);
	/* A port of its own: a member of a reuseport group that connects leaves the group for
	 * good. */
	((struct sockaddr_in *)&address)->sin_port = 0;
	return bind(fd, (const struct sockaddr *)&address, len) < 0 ? -errno : 0;
}

int qs_udp_route(const struct sockaddr *remote, const struct sockaddr *source,
		 const struct qs_udp_options *options, struct sockaddr_storage *local, size_t *mtu)
{
	bool v4 = remote->sa_family == AF_INET;
	socklen_t len = sizeof(*local);
	int value, r = 0;
	int fd = qs_udp_socket(remote->sa_family, options);

	if (fd < 0)
		return fd;
	if (source && source->sa_family != AF_UNSPEC)
		r = bind_source(fd, source);
	if (r == 0 && (connect(fd, remote, qs_udp_address_len(remote->sa_family)) < 0 ||
		       getsockname(fd, (struct sockaddr *)local, &len) < 0))
		r = -errno;
	if (r == 0)
		((struct sockaddr_in *)local)->sin_port = 0;
	if (r == 0 && mtu) {
		len = sizeof(value);
		if (getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &value,
			       &len) < 0)
			r = -errno;
		else
			*mtu = (size_t)value;
	}
	close(fd);
	return r;
}
