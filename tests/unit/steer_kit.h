/* SPDX-License-Identifier: MIT */
/* For the tests of steering: a network namespace, groups of sockets, and datagrams made by hand. */
#ifndef STEER_KIT_H
#define STEER_KIT_H

#include "bpf/loader.h"
#include "engine/cid.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define EXIT_SKIP 77
#define HOST 0xbeef
#define MEMBERS_MAX 8

struct member {
	int fd;
	struct qs_steer_member id;
};

struct steer_group {
	struct qs_steer *steer;
	int family;
	uint16_t port;
	struct member members[MEMBERS_MAX];
};

static inline void kit_skip(const char *what, int error, const char *dir)
{
	fprintf(stderr, "SKIP: no %s here: %s (needs root)\n", what, strerror(error));
	umount(dir);
	rmdir(dir);
	exit(EXIT_SKIP);
}

/* A namespace of our own, with a loopback and a BPF file system in dir. Ends the test if refused;
 * cmocka's assertions are not for use yet. */
static inline void kit_enter(const char *dir)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct qs_steer *probe;
	int fd, result;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		kit_skip("namespaces of our own", errno, dir);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		kit_skip("loopback of our own", errno, dir);
	close(fd);
	if (mount("bpf", dir, "bpf", 0, "mode=0755"))
		kit_skip("BPF file system", errno, dir);
	result = qs_steer_load(&probe, HOST);
	if (result == -EPERM || result == -ENOSYS)
		kit_skip("BPF programs", -result, dir);
	if (result) {
		fprintf(stderr, "the program can't be loaded: %s\n", strerror(-result));
		exit(EXIT_FAILURE);
	}
	qs_steer_free(probe);
}

static inline socklen_t kit_address(struct sockaddr_storage *out, int family, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = (sa_family_t)family;
	if (family == AF_INET6) {
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = htons(port);
		return sizeof(*in6);
	}
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = htons(port);
	return sizeof(*in);
}

/* A bound UDP socket; port 0: the group's is chosen by the kernel and remembered. */
static inline int kit_socket(struct steer_group *g)
{
	struct sockaddr_storage at;
	socklen_t len = kit_address(&at, g->family, g->port);
	int fd = socket(g->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	len = sizeof(at);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	g->port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	return fd;
}

/* An accepting member more; returns the number of moved buckets. */
static inline int kit_join(struct steer_group *g, unsigned i)
{
	struct member *m = &g->members[i];
	int moved;

	m->fd = kit_socket(g);
	assert_int_equal(qs_steer_claim(g->steer, m->fd, &m->id), 0);
	moved = qs_steer_set(g->steer, &m->id, QS_STEER_ACCEPTING);
	assert_true(moved >= 0);
	return moved;
}

static inline void kit_open(struct steer_group *g, int family, unsigned n)
{
	*g = (struct steer_group){.family = family};
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		g->members[i].fd = -1;
	assert_int_equal(qs_steer_load(&g->steer, HOST), 0);
	for (unsigned i = 0; i < n; i++)
		kit_join(g, i);
	assert_int_equal(qs_steer_attach(g->steer, g->members[0].fd), 0);
}

static inline void kit_close(struct steer_group *g)
{
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		if (g->members[i].fd >= 0)
			close(g->members[i].fd);
	}
	qs_steer_free(g->steer);
}

/* The member that received one datagram, the only one; -1: nobody. Loopback delivers at once, unless
 * there is much to do. */
static inline int kit_receiver(const struct steer_group *g)
{
	struct pollfd polls[MEMBERS_MAX];
	int found = -1;
	char octet;

	/* Those of -1 are left out by the kernel. */
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		polls[i] = (struct pollfd){.fd = g->members[i].fd, .events = POLLIN};
	poll(polls, MEMBERS_MAX, 2000);

	for (int i = 0; i < MEMBERS_MAX; i++) {
		int fd = g->members[i].fd;

		while (fd >= 0 && recv(fd, &octet, sizeof(octet), MSG_TRUNC) >= 0) {
			assert_int_equal(found, -1);
			found = i;
		}
	}
	return found;
}

static inline int kit_client(int family, uint16_t port)
{
	struct sockaddr_storage at;
	socklen_t len = kit_address(&at, family, port);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

/* From a socket; returns who got it. */
static inline int kit_send(const struct steer_group *g, int client, const void *data, size_t n)
{
	struct sockaddr_storage to;
	socklen_t len = kit_address(&to, g->family, g->port);

	assert_int_equal(sendto(client, data, n, 0, (struct sockaddr *)&to, len), (ssize_t)n);
	return kit_receiver(g);
}

#define V1 0x00000001u
#define V2 0x6b3343cfu

/* Returns the octets that a long header and some payload fill: 100. */
static inline size_t kit_long(uint8_t out[static 100], uint8_t first, uint32_t version,
			      const void *dcid, uint8_t length)
{
	memset(out, 0xa5, 100);
	out[0] = first;
	out[1] = (uint8_t)(version >> 24);
	out[2] = (uint8_t)(version >> 16);
	out[3] = (uint8_t)(version >> 8);
	out[4] = (uint8_t)version;
	out[5] = length;
	memcpy(out + 6, dcid, length);
	out[6 + length] = 0; /* no source ID */
	return 100;
}

static inline size_t kit_short(uint8_t out[static 100], const uint8_t cid[static QS_CID_LEN])
{
	memset(out, 0x5a, 100);
	out[0] = 0x41;
	memcpy(out + 1, cid, QS_CID_LEN);
	return 40;
}

static inline void kit_cid(uint8_t out[static QS_CID_LEN], uint16_t host, uint16_t slot,
			   uint16_t generation)
{
	struct qs_cid_fields fields = {
		.config = 3,
		.host = host,
		.slot = slot,
		.generation = generation,
		.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9},
	};

	qs_cid_encode(out, &fields);
}

static inline struct qs_steer_counts kit_counts(const struct steer_group *g)
{
	struct qs_steer_counts counts;

	assert_int_equal(qs_steer_counts(g->steer, &counts), 0);
	return counts;
}

/* So many accept, all others have nothing, and the shares differ by one at most. */
static inline void kit_balance(const struct steer_group *g, unsigned accepting)
{
	struct qs_steer_slot_view view;
	unsigned sum = 0, seen = 0;

	for (unsigned i = 0; i < QS_STEER_SLOTS; i++) {
		assert_int_equal(qs_steer_slot_view(g->steer, i, &view), 0);
		sum += view.buckets;
		if (view.state != QS_STEER_ACCEPTING || !view.cookie) {
			assert_int_equal(view.buckets, 0);
			continue;
		}
		seen++;
		assert_in_range(view.buckets, QS_STEER_BUCKETS / accepting,
				(QS_STEER_BUCKETS + accepting - 1) / accepting);
	}
	assert_int_equal(seen, accepting);
	assert_int_equal(sum, QS_STEER_BUCKETS);
}

#endif
