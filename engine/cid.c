/* SPDX-License-Identifier: MIT */
/* Connection IDs that say where a packet belongs: host, slot and generation in the open. */
#include "cid.h"

#include <errno.h>
#include <string.h>

/* In front of the ID: 3 bits of config rotation, then the number of octets that follow. */
#define LENGTH_BITS 5u
#define LENGTH_MASK 0x1fu
#define CONFIG_UNROUTABLE 7u

_Static_assert(QS_CID_LEN == 1 + QS_CID_SERVER_ID_LEN + QS_CID_NONCE_LEN, "the parts fill the ID");
_Static_assert(QS_CID_LEN - 1 <= LENGTH_MASK, "the length fits its bits");

static void put16(uint8_t *out, uint16_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

void qs_cid_encode(uint8_t out[static QS_CID_LEN], const struct qs_cid_fields *fields)
{
	out[0] = (uint8_t)((fields->config & CONFIG_UNROUTABLE) << LENGTH_BITS | (QS_CID_LEN - 1));
	put16(out + 1, fields->host);
	put16(out + 3, fields->slot);
	put16(out + 5, fields->generation);
	memcpy(out + 1 + QS_CID_SERVER_ID_LEN, fields->nonce, QS_CID_NONCE_LEN);
}

int qs_cid_decode(const uint8_t *data, size_t len, struct qs_cid_fields *out)
{
	if (len != QS_CID_LEN || (data[0] & LENGTH_MASK) != QS_CID_LEN - 1 ||
	    data[0] >> LENGTH_BITS == CONFIG_UNROUTABLE)
		return -EINVAL;
	out->config = data[0] >> LENGTH_BITS;
	out->host = get16(data + 1);
	out->slot = get16(data + 3);
	out->generation = get16(data + 5);
	memcpy(out->nonce, data + 1 + QS_CID_SERVER_ID_LEN, QS_CID_NONCE_LEN);
	return 0;
}
