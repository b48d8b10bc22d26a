// SPDX-License-Identifier: MIT
/*
 * Initials that nobody means, from many addresses: `flood ADDRESS PORT KIND RATE SECONDS`. Each has a
 * source of its own in 127/8, which needs no privilege, and a connection ID of its own. Kinds:
 *	noise	in the shape of an Initial, and can't be decrypted
 *	hello	a whole ClientHello, as a client sends it, of one that never answers
 *	unwanted	one for a protocol that nobody serves
 *	half	the second half of one, over and over
 * Prints how many were sent and in how many microseconds.
 */
#include <stdbool.h>

#include "../unit/initial_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#define LEN 1200u
#define POOL 2048u /* different packets, where making one takes time */
#define BATCH 64u
#define SOCKETS 16u
#define ID_AT 6u

struct shot {
	struct iovec iov;
	uint8_t data[LEN];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
};

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void make_noise(uint8_t *out, uint64_t id)
{
	static const uint8_t head[] = {0xc3, 0, 0, 0, 1, 8};
	uint64_t mixed = id * 0x9e3779b97f4a7c15u;

	memcpy(out, head, sizeof(head));
	memcpy(out + ID_AT, &mixed, sizeof(mixed));
	out[14] = out[15] = 0; /* source ID, token */
	out[16] = (uint8_t)(0x40 | (LEN - 18) >> 8);
	out[17] = (uint8_t)(LEN - 18);
	for (size_t at = 18; at + 8 <= LEN; at += 8) {
		mixed = mixed * 6364136223846793005u + 1442695040888963407u;
		memcpy(out + at, &mixed, sizeof(mixed));
	}
}

static void make_hello(uint8_t *out, uint64_t id, const char *protocol, bool half)
{
	static struct initial_hello hello;
	const char *const alpn[] = {protocol, NULL};
	struct initial_flight flight = {
		.version = NGTCP2_PROTO_VER_V1, .dcid = (uint8_t *)&id, .dcid_len = sizeof(id)};
	uint8_t frames[2000], packet[2000];
	size_t from, len;

	if (hello.len == 0)
		initial_make_hello(&hello, "localhost", alpn, 0);
	from = half ? hello.len / 2 : 0;
	len = initial_seal(packet, &flight, 0, frames,
			   initial_crypto(frames, from, hello.data + from, hello.len - from), LEN);
	if (len != LEN)
		die("a packet of another length");
	memcpy(out, packet, LEN);
}

static uint8_t *make_pool(const char *kind)
{
	uint8_t *pool = malloc((size_t)POOL * LEN);
	bool noise = strcmp(kind, "noise") == 0, half = strcmp(kind, "half") == 0,
	     unwanted = strcmp(kind, "unwanted") == 0;

	if (pool == NULL || (!noise && !half && !unwanted && strcmp(kind, "hello") != 0))
		die(kind);
	for (unsigned i = 0; i < POOL; i++) {
		if (noise)
			make_noise(pool + (size_t)i * LEN, i);
		else
			make_hello(pool + (size_t)i * LEN, i * 0x9e3779b97f4a7c15u,
				   unwanted ? "nobody's" : "quicshim", half);
	}
	return pool;
}

/* The n-th of all: its source, and for noise its ID, are nobody else's. */
static void aim(struct shot *shot, struct mmsghdr *msg, struct sockaddr_in *to, const uint8_t *from,
		uint64_t n, bool fresh)
{
	struct in_pktinfo info = {.ipi_spec_dst.s_addr =
					  htonl(0x7f010000u + (uint32_t)(n % (126u << 16)))};
	struct cmsghdr *c;

	memcpy(shot->data, from, LEN);
	if (fresh)
		memcpy(shot->data + ID_AT, &n, sizeof(n));
	shot->iov = (struct iovec){shot->data, LEN};
	*msg = (struct mmsghdr){.msg_hdr = {.msg_name = to,
					    .msg_namelen = sizeof(*to),
					    .msg_iov = &shot->iov,
					    .msg_iovlen = 1,
					    .msg_control = shot->control.bytes,
					    .msg_controllen = sizeof(shot->control.bytes)}};
	c = CMSG_FIRSTHDR(&msg->msg_hdr);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
}

static void send_all(int fd, struct mmsghdr *msgs, unsigned n)
{
	for (unsigned at = 0; at < n;) {
		int sent = sendmmsg(fd, msgs + at, n - at, 0);

		if (sent > 0)
			at += (unsigned)sent;
		else if (errno != EINTR && errno != ECONNREFUSED)
			die("sendmmsg");
	}
}

int main(int argc, char **argv)
{
	static struct shot shots[BATCH];
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct mmsghdr msgs[BATCH];
	int fds[SOCKETS];
	uint64_t sent = 0, begin, now, length_ns;
	double rate;
	uint8_t *pool;

	if (argc != 6 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: flood ADDRESS PORT KIND RATE SECONDS\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	pool = make_pool(argv[3]);
	rate = atof(argv[4]);
	length_ns = (uint64_t)(atof(argv[5]) * 1e9);
	for (unsigned i = 0; i < SOCKETS; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0)
			die("socket");
	}
	begin = clock_ns();
	while ((now = clock_ns()) - begin < length_ns) {
		uint64_t due = (uint64_t)((double)(now - begin) / 1e9 * rate), n = due - sent;
		struct timespec pause = {.tv_nsec = 500000};

		if (n < BATCH) {
			nanosleep(&pause, NULL);
			continue;
		}
		for (unsigned i = 0; i < BATCH; i++)
			aim(&shots[i], &msgs[i], &to, pool + (sent + i) % POOL * LEN, sent + i,
			    argv[3][0] == 'n');
		send_all(fds[sent / BATCH % SOCKETS], msgs, BATCH);
		sent += BATCH;
	}
	printf("%llu %llu\n", (unsigned long long)sent,
	       (unsigned long long)(clock_ns() - begin) / 1000);
	free(pool);
	return 0;
}
