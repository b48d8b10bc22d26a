/* SPDX-License-Identifier: MIT */
/* Connection IDs that say where a packet belongs (after draft-ietf-quic-load-balancers). */
#ifndef QS_CID_H
#define QS_CID_H

#include <stddef.h>
#include <stdint.h>

/* 1 octet: config rotation (3 bits) and length-1 (5 bits); server ID: host 2, slot 2, generation
 * 2; nonce 9. */
#define QS_CID_LEN 16u
#define QS_CID_SERVER_ID_LEN 6u
#define QS_CID_NONCE_LEN 9u

struct qs_cid_fields {
	uint8_t config; /* 0..6; 7 is reserved by the draft for "unroutable" */
	uint16_t host;
	uint16_t slot;
	uint16_t generation;
	uint8_t nonce[QS_CID_NONCE_LEN];
};

/* Writes QS_CID_LEN octets. */
void qs_cid_encode(uint8_t out[static QS_CID_LEN], const struct qs_cid_fields *fields);
/* 0, or -EINVAL if the length or the first octet is not ours. */
int qs_cid_decode(const uint8_t *data, size_t len, struct qs_cid_fields *out);

#endif
