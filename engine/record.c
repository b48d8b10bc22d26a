/* SPDX-License-Identifier: MIT */
/* Identities, marks, addresses and records: the codecs that shim and engine share. No state. */
#include "control.h"

#include <errno.h>
#include <string.h>

/*
 * Theory. Everything here is a pure function, safe in any thread, in signal handlers and after fork
 * or vfork. What is decoded may come from strangers (the environment, getpeername, a socket handed
 * over by another program), so each value has exactly one accepted form: encode(decode(x)) == x.
 *
 * Mark, 64 bits:
 *   63..48 0x7153 | 47..45 state | 44 v6 | 43..36 errno | 35..16 slot | 15..0 generation
 * The kernel's default for SO_MAX_PACING_RATE is ~0, which does not carry the magic.
 *
 * Record: "\0quicshim/r/" and 80 characters of base64url, which are these 60 octets, big-endian:
 *   0 version | 1 families (local << 4 | peer: 0, 4 or 6) | 2 engine id (8) | 10 slot (4)
 *   14 generation (2)
 *   16 local: port (2), scope (4), address (16) | 38 peer: likewise
 * 60 is a multiple of three: no padding and no spare bits. Octets that a family does not use are 0.
 */

#define NAME_PREFIX "quicshim/"
#define NAME_PREFIX_LEN (sizeof(NAME_PREFIX) - 1)
#define RECORD_PREFIX "quicshim/r/"
#define RECORD_PREFIX_LEN (sizeof(RECORD_PREFIX) - 1)
#define RECORD_VERSION 1
#define RECORD_OCTETS 60
#define RECORD_TEXT 80
#define RECORD_LEN (offsetof(struct sockaddr_un, sun_path) + 1 + RECORD_PREFIX_LEN + RECORD_TEXT)
#define ADDR_OCTETS 22
#define ID_TEXT 16

_Static_assert(RECORD_OCTETS % 3 == 0 && RECORD_OCTETS / 3 * 4 == RECORD_TEXT, "no padding");
_Static_assert(RECORD_LEN <= sizeof(struct sockaddr_un), "a record fits a name");
_Static_assert(QS_SLOTS_MAX <= 1u << 20, "a mark has 20 bits for the slot");

static const char *const channel_name[] = {
	[QS_CHANNEL_STREAM] = "/stream",
	[QS_CHANNEL_CONTROL] = "/control",
	[QS_CHANNEL_STATUS] = "/status",
};

static void put_be(uint8_t *out, uint64_t value, size_t n)
{
	while (n > 0) {
		out[--n] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get_be(const uint8_t *data, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | data[i];
	return value;
}

static bool all_zero(const uint8_t *data, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= data[i];
	return any == 0;
}

static void put_hex(char *out, const uint8_t *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Stops at the first octet that is no digit, so a short string is safe. */
static int get_hex(const char *text, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int qs_identity_parse(const char *text, struct qs_identity *out)
{
	uint8_t id[8], token[16];

	if (!text || get_hex(text, id, sizeof(id)) < 0 || text[ID_TEXT] != '-' ||
	    get_hex(text + ID_TEXT + 1, token, sizeof(token)) < 0 ||
	    text[QS_IDENTITY_TEXT - 1] != '\0')
		return -EINVAL;
	out->id = get_be(id, sizeof(id));
	memcpy(out->token, token, sizeof(token));
	return 0;
}

void qs_identity_format(char out[static QS_IDENTITY_TEXT], const struct qs_identity *identity)
{
	uint8_t id[8];

	put_be(id, identity->id, sizeof(id));
	put_hex(out, id, sizeof(id));
	out[ID_TEXT] = '-';
	put_hex(out + ID_TEXT + 1, identity->token, sizeof(identity->token));
	out[QS_IDENTITY_TEXT - 1] = '\0';
}

socklen_t qs_control_address(struct sockaddr_un *out, uint64_t id, enum qs_channel channel)
{
	const char *name = channel_name[channel];
	size_t name_len = strlen(name);
	char *at = out->sun_path;
	uint8_t octets[8];

	put_be(octets, id, sizeof(octets));
	out->sun_family = AF_UNIX;
	*at++ = '\0';
	memcpy(at, NAME_PREFIX, NAME_PREFIX_LEN);
	at += NAME_PREFIX_LEN;
	put_hex(at, octets, sizeof(octets));
	at += ID_TEXT;
	memcpy(at, name, name_len);
	at += name_len;
	return (socklen_t)(at - (char *)out);
}

int qs_control_address_id(const struct sockaddr_un *addr, socklen_t len, uint64_t *id)
{
	const size_t start = offsetof(struct sockaddr_un, sun_path) + 1 + NAME_PREFIX_LEN;
	const char *text = addr->sun_path + 1 + NAME_PREFIX_LEN;
	struct qs_record record;
	uint8_t octets[8];
	size_t rest;

	if (qs_record_decode(addr, len, &record) == 0) {
		*id = record.engine;
		return 0;
	}
	if (len <= start + ID_TEXT || len > sizeof(*addr) || addr->sun_family != AF_UNIX ||
	    addr->sun_path[0] != '\0' ||
	    memcmp(addr->sun_path + 1, NAME_PREFIX, NAME_PREFIX_LEN) != 0 ||
	    get_hex(text, octets, sizeof(octets)) < 0)
		return -EINVAL;
	rest = len - start - ID_TEXT;
	for (size_t i = 0; i < sizeof(channel_name) / sizeof(channel_name[0]); i++) {
		if (strlen(channel_name[i]) == rest &&
		    memcmp(text + ID_TEXT, channel_name[i], rest) == 0) {
			*id = get_be(octets, sizeof(octets));
			return 0;
		}
	}
	return -EINVAL;
}

bool qs_token_equal(const uint8_t a[static 16], const uint8_t b[static 16])
{
	volatile uint8_t differ = 0;

	for (size_t i = 0; i < 16; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

/* As the kernel: a scope means something for link-local unicast and for multicast of link or
 * interface. */
static bool needs_scope(const uint8_t ip[static 16])
{
	if (ip[0] == 0xfe)
		return (ip[1] & 0xc0) == 0x80;
	return ip[0] == 0xff && ((ip[1] & 0x0f) == 1 || (ip[1] & 0x0f) == 2);
}

int qs_addr_from_sockaddr(struct qs_addr *out, const struct sockaddr *sa, socklen_t len)
{
	sa_family_t family;

	memset(out, 0, sizeof(*out));
	if (!sa || len < sizeof(family))
		return -EAFNOSUPPORT;
	memcpy(&family, sa, sizeof(family));
	if (family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		out->family = AF_INET;
		out->port = ntohs(in.sin_port);
		memcpy(out->ip, &in.sin_addr, 4);
		return 0;
	}
	/* RFC 2133's sockaddr_in6 had no scope; the kernel still takes it. */
	if (family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		struct sockaddr_in6 in6 = {0};

		memcpy(&in6, sa,
		       len < sizeof(in6) ? offsetof(struct sockaddr_in6, sin6_scope_id)
					 : sizeof(in6));
		out->family = AF_INET6;
		out->port = ntohs(in6.sin6_port);
		memcpy(out->ip, &in6.sin6_addr, 16);
		if (needs_scope(out->ip))
			out->scope_id = in6.sin6_scope_id;
		return 0;
	}
	return -EAFNOSUPPORT;
}

socklen_t qs_addr_to_sockaddr(const struct qs_addr *addr, int family, struct sockaddr_storage *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *ip4 = NULL;

	if (addr->family == AF_INET)
		ip4 = addr->ip;
	else if (addr->family == AF_INET6 && memcmp(addr->ip, mapped, sizeof(mapped)) == 0)
		ip4 = addr->ip + sizeof(mapped);
	else if (addr->family != AF_INET6)
		return 0;

	if (family == AF_INET && ip4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};

		memcpy(&in.sin_addr, ip4, 4);
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	if (family == AF_INET6) {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};

		if (ip4) {
			memcpy(in6.sin6_addr.s6_addr, mapped, sizeof(mapped));
			memcpy(in6.sin6_addr.s6_addr + sizeof(mapped), ip4, 4);
		} else {
			memcpy(&in6.sin6_addr, addr->ip, 16);
			in6.sin6_scope_id = addr->scope_id;
		}
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

#define MARK_MAGIC 0x7153u

uint64_t qs_mark_encode(const struct qs_mark *mark)
{
	return (uint64_t)MARK_MAGIC << 48 | ((uint64_t)mark->state & 7) << 45 |
	       (uint64_t)mark->v6 << 44 | (uint64_t)mark->error << 36 |
	       ((uint64_t)mark->slot & 0xfffff) << 16 | mark->generation;
}

bool qs_mark_decode(uint64_t value, struct qs_mark *out)
{
	unsigned state = value >> 45 & 7;
	uint32_t slot = value >> 16 & 0xfffff;

	if (value >> 48 != MARK_MAGIC || state < QS_MARK_CONNECTING || state > QS_MARK_LISTENER ||
	    slot >= QS_SLOTS_MAX)
		return false;
	*out = (struct qs_mark){
		.state = (enum qs_mark_state)state,
		.error = (uint8_t)(value >> 36),
		.slot = slot,
		.generation = (uint16_t)value,
		.v6 = (value >> 44 & 1) != 0,
	};
	return true;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/* Writes ADDR_OCTETS; returns the family's nibble. */
static uint8_t put_addr(uint8_t *out, const struct qs_addr *addr)
{
	memset(out, 0, ADDR_OCTETS);
	if (addr->family != AF_INET && addr->family != AF_INET6)
		return 0;
	put_be(out, addr->port, 2);
	if (addr->family == AF_INET) {
		memcpy(out + 6, addr->ip, 4);
		return 4;
	}
	put_be(out + 2, addr->scope_id, 4);
	memcpy(out + 6, addr->ip, 16);
	return 6;
}

static int get_addr(struct qs_addr *out, const uint8_t *data, uint8_t nibble)
{
	memset(out, 0, sizeof(*out));
	switch (nibble) {
	case 0:
		return all_zero(data, ADDR_OCTETS) ? 0 : -EINVAL;
	case 4:
		if (!all_zero(data + 2, 4) || !all_zero(data + 10, 12))
			return -EINVAL;
		out->family = AF_INET;
		break;
	case 6:
		out->family = AF_INET6;
		break;
	default:
		return -EINVAL;
	}
	out->port = (uint16_t)get_be(data, 2);
	out->scope_id = (uint32_t)get_be(data + 2, 4);
	memcpy(out->ip, data + 6, 16);
	return 0;
}

socklen_t qs_record_encode(const struct qs_record *record, struct sockaddr_un *out)
{
	char *at = out->sun_path + 1 + RECORD_PREFIX_LEN;
	uint8_t octets[RECORD_OCTETS];
	uint8_t local, peer;

	octets[0] = RECORD_VERSION;
	put_be(octets + 2, record->engine, 8);
	put_be(octets + 10, record->slot, 4);
	put_be(octets + 14, record->generation, 2);
	local = put_addr(octets + 16, &record->local);
	peer = put_addr(octets + 16 + ADDR_OCTETS, &record->peer);
	octets[1] = (uint8_t)(local << 4 | peer);

	out->sun_family = AF_UNIX;
	out->sun_path[0] = '\0';
	memcpy(out->sun_path + 1, RECORD_PREFIX, RECORD_PREFIX_LEN);
	for (size_t i = 0; i < RECORD_OCTETS; i += 3) {
		uint32_t three = (uint32_t)get_be(octets + i, 3);

		*at++ = base64url[three >> 18];
		*at++ = base64url[three >> 12 & 63];
		*at++ = base64url[three >> 6 & 63];
		*at++ = base64url[three & 63];
	}
	return RECORD_LEN;
}

int qs_record_decode(const struct sockaddr_un *addr, socklen_t len, struct qs_record *out)
{
	const char *at = addr->sun_path + 1 + RECORD_PREFIX_LEN;
	uint8_t octets[RECORD_OCTETS];
	struct qs_record record;

	if (len != RECORD_LEN || addr->sun_family != AF_UNIX || addr->sun_path[0] != '\0' ||
	    memcmp(addr->sun_path + 1, RECORD_PREFIX, RECORD_PREFIX_LEN) != 0)
		return -EINVAL;
	for (size_t i = 0; i < RECORD_OCTETS; i += 3) {
		uint32_t three = 0;

		for (int k = 0; k < 4; k++) {
			int digit = base64_digit(*at++);

			if (digit < 0)
				return -EINVAL;
			three = three << 6 | (uint32_t)digit;
		}
		put_be(octets + i, three, 3);
	}
	record.engine = get_be(octets + 2, 8);
	record.slot = (uint32_t)get_be(octets + 10, 4);
	record.generation = (uint16_t)get_be(octets + 14, 2);
	if (octets[0] != RECORD_VERSION || record.slot >= QS_SLOTS_MAX ||
	    get_addr(&record.local, octets + 16, octets[1] >> 4) < 0 ||
	    get_addr(&record.peer, octets + 16 + ADDR_OCTETS, octets[1] & 15) < 0)
		return -EINVAL;
	*out = record;
	return 0;
}
