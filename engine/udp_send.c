/* SPDX-License-Identifier: MIT */
/* UDP output: trains as single GSO messages, and what to do when that is refused. */
#include "udp_parts.h"

#include <netinet/udp.h>
#include <string.h>
#include <sys/uio.h>

/*
 * Theory. GSO is refused at run time by devices without checksum offload and by IPsec routes (EIO)
 * and by some drivers (EINVAL, EOPNOTSUPP). The same segments are then sent singly, and only if the
 * kernel takes those is GSO the culprit and latched off: a source address that has gone is EINVAL
 * too, and older kernels also say EINVAL where a segment is larger than the route's MTU.
 */

#define SEGMENTS_MAX 64u /* UDP_MAX_SEGMENTS of the oldest kernels that have GSO */
/* A message with its headers must stay below gso_max_size, 65,536, or the kernel cuts it up in
 * software. */
#define GSO_OCTETS_MAX 65472u

union send_control {
	struct cmsghdr align;
	uint8_t octets[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) +
		       CMSG_SPACE(sizeof(uint16_t))];
};

/* Whether a message that failed with it, repeatedly, is as good as lost on the way: a full
 * device queue, a firewall's drop, or more ICMP errors than we repeat for. TCP's user sees
 * nothing of these either. */
static bool is_loss(int error)
{
	switch (error) {
	case ENOBUFS:
	case ENOMEM:
	case EPERM:
	case ECONNREFUSED:
	case ENONET:
	case ENOPROTOOPT:
	case EPROTO:
	case EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

static size_t put_control(union send_control *control, size_t at, int level, int type,
			  const void *data, size_t len)
{
	struct cmsghdr header = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};

	memcpy(control->octets + at, &header, sizeof(header));
	memcpy(control->octets + at + CMSG_LEN(0), data, len);
	return at + CMSG_SPACE(len);
}

/* Source address and ECN. Returns the octets used. */
static size_t put_path(union send_control *control, const struct qs_udp_train *train)
{
	int ecn = train->ecn & 3;
	size_t at = 0;

	if (train->local.ss_family == AF_INET) {
		struct in_pktinfo info = {
			.ipi_spec_dst = ((const struct sockaddr_in *)&train->local)->sin_addr,
		};

		at = put_control(control, at, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else if (train->local.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&train->local;
		struct in6_pktinfo info = {.ipi6_addr = in6->sin6_addr,
					   .ipi6_ifindex = in6->sin6_scope_id};

		at = put_control(control, at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (ecn != 0 && train->remote.ss_family == AF_INET)
		at = put_control(control, at, IPPROTO_IP, IP_TOS, &ecn, sizeof(ecn));
	else if (ecn != 0)
		at = put_control(control, at, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof(ecn));
	return at;
}

/* 0 or -errno, after repeating what may have been an ICMP error. */
static int send_message(int fd, const struct msghdr *msg)
{
	int tries = 0;

	while (sendmsg(fd, msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EINTR && (!qs_udp_error_soft(errno) || ++tries == QS_UDP_TRIES))
			return -errno;
	}
	return 0;
}

struct singles {
	size_t taken; /* octets sent or lost */
	bool sent; /* the kernel took one at least */
	bool too_large;
	int error; /* what stopped it, 0 if nothing did */
};

/* Sends len octets, SEGMENTS_MAX segments at most, each by itself. `msg` brings name and
 * control. */
static struct singles send_singles(struct qs_udp *udp, const struct msghdr *msg, uint8_t *data,
				   size_t len, size_t segment)
{
	struct mmsghdr msgs[SEGMENTS_MAX];
	struct iovec iovs[SEGMENTS_MAX];
	struct singles result = {0};
	unsigned n = 0, at = 0;
	int tries = 0;

	for (size_t off = 0; off < len; off += segment, n++) {
		iovs[n].iov_base = data + off;
		iovs[n].iov_len = len - off < segment ? len - off : segment;
		msgs[n].msg_hdr = *msg;
		msgs[n].msg_hdr.msg_iov = &iovs[n];
	}
	while (at < n) {
		int sent = sendmmsg(udp->fd, msgs + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			at += (unsigned)sent;
			udp->sent_datagrams += (unsigned)sent;
			result.sent = true;
			tries = 0;
			continue;
		}
		if (errno == EINTR || (qs_udp_error_soft(errno) && ++tries < QS_UDP_TRIES))
			continue;
		tries = 0;
		if (errno == EMSGSIZE) {
			/* The others of that size would fare no better; a shorter last one may. */
			result.too_large = true;
			at = at < n - 1 && iovs[n - 1].iov_len < segment ? n - 1 : n;
		} else if (is_loss(errno)) {
			at++;
		} else {
			result.error = errno;
			break;
		}
	}
	result.taken = at == n ? len : at * segment;
	udp->sent_trains += result.sent;
	return result;
}

/* Sends one train that a single message can carry. Returns the octets taken (EAGAIN: those
 * before it), or -errno. */
static ssize_t send_chunk(struct qs_udp *udp, const struct msghdr *msg, uint8_t *data, size_t len,
			  size_t segment)
{
	union send_control *control = msg->msg_control;
	struct singles singles;
	int r = 0;

	if (len > segment && udp->gso) {
		struct iovec iov = {.iov_base = data, .iov_len = len};
		uint16_t size = (uint16_t)segment;
		struct msghdr train = *msg;

		train.msg_iov = &iov;
		train.msg_controllen = put_control(control, msg->msg_controllen, IPPROTO_UDP,
						   UDP_SEGMENT, &size, sizeof(size));
		r = send_message(udp->fd, &train);
		if (r == 0) {
			udp->sent_trains++;
			udp->sent_datagrams += (len + segment - 1) / segment;
			return (ssize_t)len;
		}
		if (r != -EIO && r != -EINVAL && r != -EOPNOTSUPP && r != -EMSGSIZE)
			return r == -EAGAIN ? 0 : is_loss(-r) ? (ssize_t)len : r;
	}
	singles = send_singles(udp, msg, data, len, segment);
	if (r < 0 && r != -EMSGSIZE && singles.sent && !singles.too_large)
		udp->gso = false;
	if (singles.taken == 0 && singles.error != EAGAIN)
		return -singles.error;
	return (ssize_t)singles.taken;
}

/* How many of `len` octets one message can carry: whole segments, or all. */
static size_t message_octets(size_t len, size_t segment)
{
	size_t n;

	if (len <= GSO_OCTETS_MAX && len <= SEGMENTS_MAX * segment)
		return len;
	n = GSO_OCTETS_MAX / segment;
	if (n > SEGMENTS_MAX)
		n = SEGMENTS_MAX;
	/* A single segment that is larger than that is no GSO message. */
	return n > 1 ? n * segment : segment < len ? segment : len;
}

ssize_t qs_udp_send(struct qs_udp *udp, const struct qs_udp_train *train)
{
	size_t segment =
		train->segment == 0 || train->segment > train->len ? train->len : train->segment;
	size_t done = 0;
	union send_control control = {.octets = {0}}; /* padding and all */
	struct msghdr msg = {
		.msg_name = (void *)(uintptr_t)&train->remote,
		.msg_namelen = qs_udp_address_len(train->remote.ss_family),
		.msg_iovlen = 1,
		.msg_control = &control,
	};

	if (segment == 0)
		return 0;
	msg.msg_controllen = put_path(&control, train);
	while (done < train->len) {
		size_t len = message_octets(train->len - done, segment);
		ssize_t r = send_chunk(udp, &msg, train->data + done, len, segment);

		if (r < 0)
			return done > 0 ? (ssize_t)done : r;
		done += (size_t)r;
		if ((size_t)r < len)
			break;
	}
	return (ssize_t)done;
}
