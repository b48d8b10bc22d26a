/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a connection ID; what is ours encodes to the same octets. */
#include "cid.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_cid_fields fields;
	uint8_t octets[QS_CID_LEN];

	if (qs_cid_decode(data, size, &fields) < 0)
		return 0;
	must(size == QS_CID_LEN && fields.config <= 6);
	qs_cid_encode(octets, &fields);
	must(memcmp(octets, data, size) == 0);
	return 0;
}
