/* SPDX-License-Identifier: MIT */
/* Steering by classic BPF, which asks for no privilege: the program, and the probe that finds a socket's index. */
#ifndef QS_CLASSIC_H
#define QS_CLASSIC_H

#include "cid.h"

#include <stdbool.h>
#include <stdint.h>

#define QS_CLASSIC_SLOTS 256u
#define QS_CLASSIC_NOWHERE 0xffffu /* of an index: not known */
#define QS_CLASSIC_PROBE_LEN (1 + QS_CID_LEN)

/* What the program says: where in the kernel's group the sockets are. */
struct qs_classic_map {
	uint16_t host; /* of the connection IDs */
	uint16_t index[QS_CLASSIC_SLOTS]; /* of each slot; QS_CLASSIC_NOWHERE */
};

/* A datagram that the program gives to the socket with that index. */
struct qs_classic_probe {
	uint16_t index;
	uint16_t slot; /* who asks, and wants to be told */
	uint64_t nonce; /* of this question */
};

void qs_classic_map_init(struct qs_classic_map *map, uint16_t host);

/*
 * Makes it the program of the socket's reuseport group, in place of any other. What bears a connection
 * ID of a slot that the map knows goes there, a probe where it says, and all else by the kernel's
 * hash. 0 or -errno. -EINVAL: the socket is in no group yet.
 */
int qs_classic_attach(int fd, const struct qs_classic_map *map);

void qs_classic_probe_write(uint8_t out[static QS_CLASSIC_PROBE_LEN],
			    const struct qs_classic_probe *probe);
/* From the connection ID of a short header. False: it is none. */
bool qs_classic_probe_read(const uint8_t *dcid, size_t len, struct qs_classic_probe *out);

#endif
