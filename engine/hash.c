/* SPDX-License-Identifier: MIT */
/* What the hash tables hash with: SipHash-2-4 (Aumasson and Bernstein), under a key that no peer knows. */
#include "hash.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>

#define WORD 8u

static uint64_t process_key[2];

int qs_hash_init(void)
{
	static bool drawn;

	if (!drawn && getrandom(process_key, sizeof(process_key), 0) != sizeof(process_key))
		return -errno;
	drawn = true;
	return 0;
}

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* Up to eight octets, the first one lowest. */
static uint64_t load(const uint8_t *data, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)data[i] << (8 * i);
	return word;
}

static void mix(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

uint64_t qs_hash_keyed(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t left = len;
	uint64_t v[4] = {
		key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};

	for (; left >= WORD; at += WORD, left -= WORD)
		mix(v, load(at, WORD));
	mix(v, load(at, left) | (uint64_t)len << 56);
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t qs_hash(const void *data, size_t len)
{
	return qs_hash_keyed(process_key, data, len);
}
