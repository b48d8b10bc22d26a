/* SPDX-License-Identifier: MIT */
/* Steering by classic BPF, which asks for no privilege: the program, and the probe that finds a socket's index. */

/*
 * Theory. A program of classic BPF returns an index into the kernel's array of the group's sockets. Who binds is put
 * at its end; when one leaves, the last takes its place (reuseport_add_sock(), reuseport_detach_sock()). An index that
 * the array does not have means the kernel's hash.
 * Nothing tells a socket its index, so it is found out: a *probe* is a datagram in the form of a short header whose
 * connection ID has config 7, which no real one has, and names an index; the program sends it there, and whoever gets
 * it says so to the slot that asked (ladder_classic.c). It works under any program of ours, be its map old or empty.
 * A stranger may send one too: it chooses the socket that throws it away, as it can by its port.
 * What can't be loaded because the datagram is too short would make the kernel return 0, which is an index: lengths are
 * looked at first.
 */
#include "classic.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>

#define LENGTH_MASK 0x1f
#define UNROUTABLE 0xe0 /* config 7, in its place */
#define PROBE_FIRST (UNROUTABLE | (QS_CID_LEN - 1))
#define SHORT_FIRST 0x40
#define LONG_BIT 0x80
#define SHORT_ID 1 /* where the ID is */
#define LONG_ID 6
#define LONG_LENGTH 5 /* where its length is */
#define AT_HOST 1 /* in the ID */
#define AT_SLOT 3
#define AT_NONCE 8

#define BY_HASH 0xffffffffu

#define LOAD(size, at) BPF_STMT(BPF_LD | (size) | BPF_ABS, at)
#define LENGTH BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)
#define AND(mask) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask)
#define RETURN(index) BPF_STMT(BPF_RET | BPF_K, index)
#define RETURN_LOADED BPF_STMT(BPF_RET | BPF_A, 0)
/* To labels, which are numbers of instructions. */
#define IF(op, value, here, yes, no)                                                               \
	BPF_JUMP(BPF_JMP | (op) | BPF_K, value, (yes) - (here)-1, (no) - (here)-1)
#define GO(here, to) BPF_STMT(BPF_JMP | BPF_JA, (to) - (here)-1)

enum { PROBE = 13, LONG = 15, NONE = 27, CHAIN = 28 }; /* jumps go forward only */

#define HOST 0 /* stands for the map's */
static const struct sock_filter head[CHAIN] = {
	LOAD(BPF_B, 0),
	IF(BPF_JSET, LONG_BIT, 1, LONG, 2),
	LENGTH,
	IF(BPF_JGE, SHORT_ID + QS_CID_LEN, 3, 4, NONE),
	LOAD(BPF_B, SHORT_ID),
	IF(BPF_JEQ, PROBE_FIRST, 5, PROBE, 6),
	IF(BPF_JGE, UNROUTABLE, 6, NONE, 7),
	AND(LENGTH_MASK),
	IF(BPF_JEQ, QS_CID_LEN - 1, 8, 9, NONE),
	LOAD(BPF_H, SHORT_ID + AT_HOST),
	IF(BPF_JEQ, HOST, 10, 11, NONE),
	LOAD(BPF_H, SHORT_ID + AT_SLOT),
	GO(12, CHAIN),
	[PROBE] = LOAD(BPF_H, SHORT_ID + AT_HOST),
	RETURN_LOADED,
	[LONG] = LENGTH,
	IF(BPF_JGE, LONG_ID + QS_CID_LEN + 1, 16, 17, NONE),
	LOAD(BPF_B, LONG_LENGTH),
	IF(BPF_JEQ, QS_CID_LEN, 18, 19, NONE),
	LOAD(BPF_B, LONG_ID),
	IF(BPF_JGE, UNROUTABLE, 20, NONE, 21),
	AND(LENGTH_MASK),
	IF(BPF_JEQ, QS_CID_LEN - 1, 22, 23, NONE),
	LOAD(BPF_H, LONG_ID + AT_HOST),
	IF(BPF_JEQ, HOST, 24, 25, NONE),
	LOAD(BPF_H, LONG_ID + AT_SLOT),
	GO(26, CHAIN),
	[NONE] = RETURN(BY_HASH),
};
#define SHORT_HOST_TEST 10
#define LONG_HOST_TEST 24
#define MOST (CHAIN + 2 * QS_CLASSIC_SLOTS + 1)
_Static_assert(MOST <= BPF_MAXINSNS, "the kernel takes no more");

void qs_classic_map_init(struct qs_classic_map *map, uint16_t host)
{
	map->host = host;
	for (unsigned slot = 0; slot < QS_CLASSIC_SLOTS; slot++)
		map->index[slot] = QS_CLASSIC_NOWHERE;
}

/* A pair of instructions for each slot: the lower ones, which live longest, are met first. */
static unsigned short build(struct sock_filter program[static MOST],
			    const struct qs_classic_map *map)
{
	unsigned short n = CHAIN;

	memcpy(program, head, sizeof(head));
	program[SHORT_HOST_TEST].k = program[LONG_HOST_TEST].k = map->host;
	for (unsigned slot = 0; slot < QS_CLASSIC_SLOTS; slot++) {
		if (map->index[slot] == QS_CLASSIC_NOWHERE)
			continue;
		program[n] = (struct sock_filter)IF(BPF_JEQ, slot, n, n + 1, n + 2);
		n++;
		program[n++] = (struct sock_filter)RETURN(map->index[slot]);
	}
	program[n++] = (struct sock_filter)RETURN(BY_HASH);
	return n;
}

int qs_classic_attach(int fd, const struct qs_classic_map *map)
{
	struct sock_filter program[MOST];
	struct sock_fprog all = {.filter = program};

	all.len = build(program, map);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &all, sizeof(all)) < 0 ? -errno
											   : 0;
}

static void put16(uint8_t *out, uint16_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

void qs_classic_probe_write(uint8_t out[static QS_CLASSIC_PROBE_LEN],
			    const struct qs_classic_probe *probe)
{
	uint8_t *id = out + SHORT_ID;

	memset(out, 0, QS_CLASSIC_PROBE_LEN);
	out[0] = SHORT_FIRST;
	id[0] = PROBE_FIRST;
	put16(id + AT_HOST, probe->index);
	put16(id + AT_SLOT, probe->slot);
	memcpy(id + AT_NONCE, &probe->nonce, sizeof(probe->nonce));
}

bool qs_classic_probe_read(const uint8_t *dcid, size_t len, struct qs_classic_probe *out)
{
	if (len != QS_CID_LEN || dcid[0] != PROBE_FIRST)
		return false;
	out->index = (uint16_t)(dcid[AT_HOST] << 8 | dcid[AT_HOST + 1]);
	out->slot = (uint16_t)(dcid[AT_SLOT] << 8 | dcid[AT_SLOT + 1]);
	memcpy(&out->nonce, dcid + AT_NONCE, sizeof(out->nonce));
	return true;
}
