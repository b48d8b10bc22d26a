/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a connection ID, in the open and encrypted; what is ours encodes to the same octets. */
#include "cid_codec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

static void encrypted(const uint8_t *data, size_t size)
{
	static const uint8_t key[QS_CID_KEY_LEN] = "fuzz key";
	static struct qs_cid_codec codec;
	struct qs_cid_fields fields;
	uint8_t octets[QS_CID_LEN], copy[32];

	if (!codec.encrypted)
		must(qs_cid_codec_init(&codec, 0, 0, key) == 0);
	if (size <= sizeof(copy)) {
		memcpy(copy, data, size);
		if (qs_cid_decrypt(codec.aes, copy, size) == 0)
			must(qs_cid_encrypt(codec.aes, copy, size) == 0);
		must(memcmp(copy, data, size) == 0);
	}
	if (qs_cid_codec_decode(&codec, data, size, &fields) < 0)
		return;
	must(qs_cid_codec_encode(&codec, octets, &fields) == 0);
	must(memcmp(octets, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_cid_fields fields;
	uint8_t octets[QS_CID_LEN];

	if (size > 0)
		encrypted(data, size);
	if (qs_cid_decode(data, size, &fields) < 0)
		return 0;
	must(size == QS_CID_LEN && fields.config <= 6);
	qs_cid_encode(octets, &fields);
	must(memcmp(octets, data, size) == 0);
	return 0;
}
