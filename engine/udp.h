/* SPDX-License-Identifier: MIT */
/* UDP input and output in trains: GSO, GRO, recvmmsg, ECN, PKTINFO, ICMP errors. */
#ifndef QS_UDP_H
#define QS_UDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define QS_UDP_TRAIN_MAX 65536u /* octets of one train */
#define QS_UDP_BATCH 16u /* trains read by one call */

/* A train: `len` octets that are segments of `segment` octets each, the last one may be shorter. */
struct qs_udp_train {
	struct sockaddr_storage local; /* real address (PKTINFO), no wildcard; the socket's port */
	struct sockaddr_storage remote; /* v4-mapped never occurs: sockets are V6ONLY */
	socklen_t local_len, remote_len;
	uint32_t ifindex; /* 0 = unknown */
	uint8_t ecn; /* the two ECN bits */
	uint8_t *data;
	size_t len, segment;
};

struct qs_udp_options {
	bool reuseport;
	const char *device; /* SO_BINDTODEVICE, NULL or "" = none */
	uint32_t mark; /* SO_MARK, 0 = none */
	bool has_owner;
	uid_t owner; /* whose the socket is, for the kernel's rule about SO_REUSEPORT */
};

/* One socket. Engine thread only. */
struct qs_udp {
	int fd;
	int family;
	uint16_t port; /* as bound, host order */
	struct sockaddr_storage bound;
	bool gso; /* latched off when the kernel or the device refuses; may be cleared by hand */
	bool gro;
	/* sent: what the kernel took. dropped: by the kernel for want of room in the receive
	 * buffer (SO_RXQ_OVFL; what had been coalesced counts once), and truncated trains. */
	uint64_t sent_datagrams, received_datagrams, dropped_datagrams;
	uint64_t sent_trains, received_trains;
	uint32_t overflow; /* the kernel's drop counter as last seen */
};

/* The buffers of one engine worker, shared by its sockets: QS_UDP_BATCH * QS_UDP_TRAIN_MAX
 * octets, mapped on demand. What the trains point to is good until the next qs_udp_receive. The
 * struct may be moved, not used by two threads. */
struct qs_udp_batch {
	struct qs_udp_train trains[QS_UDP_BATCH];
	unsigned n;
	unsigned ask; /* how many trains the next call asks for */
	uint8_t *memory;
	size_t last_overflow; /* how many datagrams the kernel reported dropped with this batch */
};

/* 0 or -errno. qs_udp_batch_fini gives the memory back. */
int qs_udp_batch_init(struct qs_udp_batch *batch);
void qs_udp_batch_fini(struct qs_udp_batch *batch);

/* Opens a non-blocking socket bound to `address` (port 0 = any), V6ONLY for IPv6. Never
 * dual-stack, never connected. Asks for 4 MiB buffers (SO_*BUFFORCE, else SO_*BUF), UDP_GRO,
 * PKTINFO, RECVTOS/TCLASS, RXQ_OVFL, IP_RECVERR, and the do-not-fragment PROBE mode so that path
 * MTU discovery is QUIC's. `options` may be NULL. 0 or -errno (EADDRINUSE, EACCES, ...). */
int qs_udp_open(struct qs_udp *udp, const struct sockaddr *address,
		const struct qs_udp_options *options);
void qs_udp_close(struct qs_udp *udp);

/* Fills the batch with what is there (one recvmmsg), but with few trains where the last ones were
 * long. Returns the number of trains, 0 if none, or -errno. Empty datagrams and those from port 0 are left out, so 0 does not prove that the queue
 * is empty: poll level-triggered. Truncated trains are left out and counted as dropped. ICMP
 * errors are no errors here. */
int qs_udp_receive(struct qs_udp *udp, struct qs_udp_batch *batch);

/* Sends one train from train->local (port ignored; family 0 = the kernel chooses) to
 * train->remote; ifindex and the lengths of the addresses are not looked at. One system call for
 * up to 64 segments and 65,472 octets; a larger train is split there, so a writer does best to
 * fill trains up to that. Falls back to single datagrams when GSO is refused. A datagram that is
 * too large for the path (EMSGSIZE) is dropped in silence: that is how a PMTU probe fails. So is
 * what a full device queue (ENOBUFS) or a firewall (EPERM) drops.
 * Returns the octets taken: train->len, or less (a multiple of segment, 0 too) when the socket
 * would block or a later datagram failed, or -errno of what failed at the first datagram.
 * ECONNREFUSED and the like, which ICMP errors leave behind, are retried and never returned;
 * EHOSTUNREACH, ENETUNREACH and EACCES only if they stay: then it is this host's routing.
 * ENETUNREACH (IPv4) or EINVAL (IPv6) is also what a train->local gives that is no address of this
 * host any more. */
ssize_t qs_udp_send(struct qs_udp *udp, const struct qs_udp_train *train);

/* Reads one ICMP error from the error queue. 1 and fills `remote` (where the datagram went),
 * `error` (errno, e.g. ECONNREFUSED; EMSGSIZE is a router's "fragmentation needed"), and up to
 * `cap` octets of the quoted UDP payload into `quoted` (*quoted_len); 0 if there is none. The
 * socket polls EPOLLERR until this has returned 0, also for failed PMTU probes, which are
 * skipped. Anybody can forge ICMP: compare `quoted` with what was sent. */
int qs_udp_error(struct qs_udp *udp, struct sockaddr_storage *remote, int *error, uint8_t *quoted,
		 size_t cap, size_t *quoted_len);

/* The local address the kernel would use towards `remote` (scratch socket, connected, closed
 * again; port 0) and the route's MTU in octets of IP packet (mtu may be NULL). `source` may be
 * NULL, else it is bound first, without its port. Of `options` device and mark count. 0 or
 * -errno (ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ...). */
int qs_udp_route(const struct sockaddr *remote, const struct sockaddr *source,
		 const struct qs_udp_options *options, struct sockaddr_storage *local, size_t *mtu);

#endif
