/* SPDX-License-Identifier: MIT */
/* UDP sockets and their input: options, recvmmsg with GRO, where a train came from and to. */
#include "udp_parts.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Theory. The kernel is crossed once for about 64 KiB: on the way out a train goes down as one
 * message with UDP_SEGMENT, on the way in UDP_GRO gives back what arrived together, and recvmmsg
 * takes up to QS_UDP_BATCH of those, fewer when the last ones were long: what is read must still be
 * in the processor's cache when it is decrypted and given to the app. Message headers for input live
 * behind the data in the batch's mapping and are built once; of each message only what the kernel overwrites is set again.
 *
 * An unconnected socket with IP_RECVERR keeps the errno of the last ICMP error and gives it to the
 * next call, whatever that call's peer. ICMP can be forged and concerns nobody in particular, so
 * such an errno is cleared (by having been returned) and the call repeated; only an errno that
 * stays is believed. Whom it was about is in the error queue (qs_udp_error).
 *
 * Nothing here locks, allocates or depends on the process: a forked engine goes on with the same
 * memory.
 */

#define BUFFER_OCTETS (4 << 20)
#define READ_OCTETS (256u * 1024u) /* about so much is read by one call */

union receive_control {
	struct cmsghdr align;
	uint8_t octets[192];
};

struct receive_area {
	struct mmsghdr msgs[QS_UDP_BATCH];
	struct iovec iovs[QS_UDP_BATCH];
	union receive_control controls[QS_UDP_BATCH];
};

#define DATA_OCTETS ((size_t)QS_UDP_BATCH * QS_UDP_TRAIN_MAX)

static struct receive_area *receive_area(const struct qs_udp_batch *batch)
{
	return (struct receive_area *)(void *)(batch->memory + DATA_OCTETS);
}

int qs_udp_batch_init(struct qs_udp_batch *batch)
{
	struct receive_area *area;
	void *memory;

	memset(batch, 0, sizeof(*batch));
	memory = mmap(NULL, DATA_OCTETS + sizeof(*area), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	batch->memory = memory;
	batch->ask = QS_UDP_BATCH;
	area = receive_area(batch);
	for (unsigned i = 0; i < QS_UDP_BATCH; i++) {
		area->iovs[i].iov_base = batch->memory + (size_t)i * QS_UDP_TRAIN_MAX;
		area->iovs[i].iov_len = QS_UDP_TRAIN_MAX;
		area->msgs[i].msg_hdr.msg_iov = &area->iovs[i];
		area->msgs[i].msg_hdr.msg_iovlen = 1;
		area->msgs[i].msg_hdr.msg_control = area->controls[i].octets;
	}
	return 0;
}

void qs_udp_batch_fini(struct qs_udp_batch *batch)
{
	if (batch->memory)
		munmap(batch->memory, DATA_OCTETS + sizeof(struct receive_area));
	batch->memory = NULL;
	batch->n = 0;
}

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* What QUIC can't do without comes back as an error; the rest is had or not. */
static int set_ip_options(int fd, int family)
{
	int r;

	if (family == AF_INET) {
		(void)set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
		(void)set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
		r = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
		return r < 0 ? r : set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	}
	(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	r = set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	return r < 0 ? r : set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static void set_buffer(int fd, int force, int plain)
{
	if (set_int(fd, SOL_SOCKET, force, BUFFER_OCTETS) < 0)
		(void)set_int(fd, SOL_SOCKET, plain, BUFFER_OCTETS);
}

int qs_udp_socket(int family, const struct qs_udp_options *options)
{
	int fd, r = 0;

	if (family != AF_INET && family != AF_INET6)
		return -EAFNOSUPPORT;
	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r == 0 && options && options->device && options->device[0] != '\0' &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->device,
		       (socklen_t)strlen(options->device)) < 0)
		r = -errno;
	if (r == 0 && options && options->mark != 0)
		r = set_int(fd, SOL_SOCKET, SO_MARK, (int)options->mark);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int qs_udp_open(struct qs_udp *udp, const struct sockaddr *address,
		const struct qs_udp_options *options)
{
	socklen_t len = sizeof(udp->bound);
	int fd, r, size;

	memset(udp, 0, sizeof(*udp));
	udp->fd = -1;
	fd = qs_udp_socket(address->sa_family, options);
	if (fd < 0)
		return fd;
	r = set_ip_options(fd, address->sa_family);
	if (r == 0 && options && options->has_owner && fchown(fd, options->owner, (gid_t)-1) < 0)
		r = -errno;
	if (r == 0 && options && options->reuseport)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r < 0)
		goto out;
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	(void)set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	udp->gro = set_int(fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
	if (bind(fd, address, qs_udp_address_len(address->sa_family)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&udp->bound, &len) < 0) {
		r = -errno;
		goto out;
	}
	len = sizeof(size);
	udp->gso = getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, &len) == 0;
	udp->family = address->sa_family;
	udp->port = qs_udp_address_port(&udp->bound);
	udp->fd = fd;
	return 0;
out:
	close(fd);
	return r;
}

void qs_udp_close(struct qs_udp *udp)
{
	if (udp->fd >= 0)
		close(udp->fd);
	udp->fd = -1;
}

static void set_local4(struct qs_udp_train *train, const struct in_pktinfo *info)
{
	((struct sockaddr_in *)&train->local)->sin_addr = info->ipi_spec_dst;
	train->ifindex = (uint32_t)info->ipi_ifindex;
}

static void set_local6(struct qs_udp_train *train, const struct in6_pktinfo *info)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&train->local;

	in6->sin6_addr = info->ipi6_addr;
	in6->sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr) ? info->ipi6_ifindex : 0;
	train->ifindex = info->ipi6_ifindex;
}

static void read_control(struct qs_udp *udp, struct qs_udp_batch *batch, struct qs_udp_train *train,
			 struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		const uint8_t *data = CMSG_DATA(c);
		struct in_pktinfo info;
		struct in6_pktinfo info6;
		uint32_t drops;
		int number;

		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&number, data, sizeof(number));
			if (number > 0 && (size_t)number < train->len)
				train->segment = (size_t)number;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, data, sizeof(info));
			set_local4(train, &info);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, data, sizeof(info6));
			set_local6(train, &info6);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			train->ecn = data[0] & 3;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&number, data, sizeof(number));
			train->ecn = (uint8_t)(number & 3);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&drops, data, sizeof(drops));
			/* The kernel's counter runs from the socket's first day and wraps at 32
			 * bits. */
			batch->last_overflow += (uint32_t)(drops - udp->overflow);
			udp->overflow = drops;
		}
	}
}

/* After trains of so many octets each. */
static unsigned trains_to_ask(unsigned octets)
{
	unsigned n = octets > 0 ? READ_OCTETS / octets : QS_UDP_BATCH;

	return n < QS_UDP_BATCH ? n : QS_UDP_BATCH;
}

int qs_udp_receive(struct qs_udp *udp, struct qs_udp_batch *batch)
{
	struct receive_area *area = receive_area(batch);
	unsigned octets = 0;
	int got, tries = 0;

	batch->n = 0;
	batch->last_overflow = 0;
	for (unsigned i = 0; i < batch->ask; i++) {
		struct msghdr *msg = &area->msgs[i].msg_hdr;

		msg->msg_name = &batch->trains[i].remote;
		msg->msg_namelen = sizeof(batch->trains[i].remote);
		msg->msg_controllen = sizeof(area->controls[i].octets);
	}
	do {
		got = recvmmsg(udp->fd, area->msgs, batch->ask, MSG_DONTWAIT, NULL);
	} while (got < 0 &&
		 (errno == EINTR || (qs_udp_error_soft(errno) && ++tries < QS_UDP_TRIES)));
	if (got <= 0)
		return got == 0 || errno == EAGAIN || qs_udp_error_soft(errno) ? 0 : -errno;

	for (int i = 0; i < got; i++) {
		struct qs_udp_train *train = &batch->trains[batch->n];
		struct msghdr *msg = &area->msgs[i].msg_hdr;

		if (batch->n != (unsigned)i)
			train->remote = batch->trains[i].remote;
		memcpy(&train->local, &udp->bound, sizeof(struct sockaddr_in6));
		train->local_len = qs_udp_address_len(udp->family);
		train->remote_len = msg->msg_namelen;
		train->ifindex = 0;
		train->ecn = 0;
		train->data = area->iovs[i].iov_base;
		train->len = area->msgs[i].msg_len;
		train->segment = train->len;
		octets += area->msgs[i].msg_len;
		read_control(udp, batch, train, msg);
		if (msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
			udp->dropped_datagrams++;
			continue;
		}
		/* Nothing can be answered to port 0: the kernel refuses it with EINVAL. */
		if (train->len == 0 || qs_udp_address_port(&train->remote) == 0)
			continue;
		udp->received_trains++;
		udp->received_datagrams += (train->len + train->segment - 1) / train->segment;
		batch->n++;
	}
	udp->dropped_datagrams += batch->last_overflow;
	batch->ask = trains_to_ask(octets / (unsigned)got);
	return (int)batch->n;
}
