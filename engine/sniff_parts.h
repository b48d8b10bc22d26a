/* SPDX-License-Identifier: MIT */
/* What sniff.c (packets) and sniff_hello.c (the message in them) share. */
#ifndef QS_SNIFF_PARTS_H
#define QS_SNIFF_PARTS_H

#include "sniff.h"

/* Puts a CRYPTO frame's octets in place. What comes twice must be the same. MORE, or what is wrong. */
enum qs_sniff_verdict qs_sniff_put(struct qs_sniff *sniff, uint64_t offset, const uint8_t *data,
				   size_t len);
/* Whether the message is whole, and then what it says. */
enum qs_sniff_verdict qs_sniff_judge(struct qs_sniff *sniff);

#endif
