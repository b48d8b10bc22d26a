/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a record, a channel's name, an identity, a mark and an address. */
#include "control.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			__builtin_trap();                                                          \
	} while (0)

static void check_addr(const struct qs_addr *addr)
{
	static const struct qs_addr none;
	struct sockaddr_storage ss;
	struct qs_addr back;
	socklen_t len = qs_addr_to_sockaddr(addr, addr->family, &ss);

	if (addr->family == 0) {
		must(len == 0 && memcmp(addr, &none, sizeof(none)) == 0);
		return;
	}
	must(len ==
	     (addr->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
	must(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, len) == 0);
	must(back.family == addr->family && back.port == addr->port);
	must(memcmp(back.ip, addr->ip, sizeof(back.ip)) == 0);
	must(qs_addr_to_sockaddr(addr, AF_INET6, &ss) == sizeof(struct sockaddr_in6));
}

/* The input is the name, without the NUL in front. */
static void fuzz_name(const uint8_t *data, size_t size)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX}, again = {0};
	struct qs_record record;
	socklen_t len;
	uint64_t id, by_name;
	bool known = false;

	if (size > sizeof(un.sun_path) - 1)
		size = sizeof(un.sun_path) - 1;
	if (size > 0)
		memcpy(un.sun_path + 1, data, size);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
	if (qs_record_decode(&un, len, &record) == 0) {
		must(record.slot < QS_SLOTS_MAX);
		check_addr(&record.local);
		check_addr(&record.peer);
		must(qs_record_encode(&record, &again) == len);
		must(memcmp(&un, &again, len) == 0);
		must(qs_control_address_id(&un, len, &id) == 0 && id == record.engine);
		return;
	}
	if (qs_control_address_id(&un, len, &by_name) < 0)
		return;
	for (unsigned channel = 0; channel < 3; channel++)
		known |= qs_control_address(&again, by_name, (enum qs_channel)channel) == len &&
			 memcmp(&un, &again, len) == 0;
	must(known);
}

static void fuzz_identity(const uint8_t *data, size_t size)
{
	struct qs_identity identity;
	char text[128] = {0}, again[QS_IDENTITY_TEXT];

	if (size > sizeof(text) - 1)
		size = sizeof(text) - 1;
	if (size > 0)
		memcpy(text, data, size);
	if (qs_identity_parse(text, &identity) < 0)
		return;
	qs_identity_format(again, &identity);
	must(strcmp(text, again) == 0);
}

static void fuzz_mark(const uint8_t *data, size_t size)
{
	struct qs_mark mark;
	uint64_t value;

	if (size < sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	if (!qs_mark_decode(value, &mark))
		value = UINT64_C(0x7153) << 48 | (value & (UINT64_MAX >> 16));
	if (!qs_mark_decode(value, &mark))
		return;
	must(mark.slot < QS_SLOTS_MAX);
	must(qs_mark_encode(&mark) == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qs_addr addr;

	fuzz_name(data, size);
	fuzz_identity(data, size);
	fuzz_mark(data, size);
	if (qs_addr_from_sockaddr(&addr, (const struct sockaddr *)(const void *)data,
				  (socklen_t)size) == 0)
		check_addr(&addr);
	return 0;
}
