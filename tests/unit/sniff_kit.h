/* SPDX-License-Identifier: MIT */
/* For test_sniff*.c: the client of the RFCs' examples, what it offers, and room for what it sends. */
#ifndef QS_TEST_SNIFF_KIT_H
#define QS_TEST_SNIFF_KIT_H

#include "sniff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h> /* wants those before */

#include "initial_kit.h"

static const uint8_t rfc_dcid[8] = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};
static const uint8_t scid[5] = "scid";
static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
static const char *const alpn[] = {"smb", "h3", NULL};
static __attribute__((unused)) struct initial_hello hello;
static uint8_t datagram[70000];

static inline struct initial_flight flight_of(uint32_t version)
{
	return (struct initial_flight){.version = version,
				       .dcid = rfc_dcid,
				       .dcid_len = sizeof(rfc_dcid),
				       .scid = scid,
				       .scid_len = sizeof(scid)};
}

#endif
