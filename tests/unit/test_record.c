/* SPDX-License-Identifier: MIT */
/* Identities, channel addresses, marks, addresses and records: round trips, and one form only. */
#include "control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME offsetof(struct sockaddr_un, sun_path)

static const char identity_text[] = "0123456789abcdef-00112233445566778899aabbccddeeff";

static void identity(void **state)
{
	struct qs_identity id;
	char text[QS_IDENTITY_TEXT];

	(void)state;
	assert_int_equal(qs_identity_parse(identity_text, &id), 0);
	assert_true(id.id == 0x0123456789abcdefu);
	assert_int_equal(id.token[0], 0x00);
	assert_int_equal(id.token[15], 0xff);
	qs_identity_format(text, &id);
	assert_string_equal(text, identity_text);
}

static void identity_has_one_form(void **state)
{
	struct qs_identity id;
	char *text;

	(void)state;
	assert_int_equal(qs_identity_parse(NULL, &id), -EINVAL);
	/* Exact allocations, so that ASan sees a read past the NUL. */
	for (size_t len = 0; len < sizeof(identity_text) - 1; len++) {
		text = strndup(identity_text, len);
		assert_non_null(text);
		assert_int_equal(qs_identity_parse(text, &id), -EINVAL);
		free(text);
	}
	for (size_t i = 0; i < sizeof(identity_text); i++) {
		static const char wrong[] = "gG-F/:@` \n\x80";

		for (size_t k = 0; k < sizeof(wrong) - 1; k++) {
			char changed[sizeof(identity_text) + 1] = {0};

			memcpy(changed, identity_text, sizeof(identity_text));
			if (changed[i] == wrong[k])
				continue;
			changed[i] = wrong[k];
			assert_int_equal(qs_identity_parse(changed, &id), -EINVAL);
		}
	}
}

static void tokens(void **state)
{
	uint8_t a[16] = {1, 2, 3}, b[16] = {1, 2, 3};

	(void)state;
	assert_true(qs_token_equal(a, b));
	for (unsigned bit = 0; bit < 128; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(qs_token_equal(a, b));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void channels(void **state)
{
	static const char *const names[] = {
		[QS_CHANNEL_STREAM] = "quicshim/00000000deadbeef/stream",
		[QS_CHANNEL_CONTROL] = "quicshim/00000000deadbeef/control",
		[QS_CHANNEL_STATUS] = "quicshim/00000000deadbeef/status",
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct sockaddr_un un;
		socklen_t len = qs_control_address(&un, 0xdeadbeef, (enum qs_channel)i);
		uint64_t id = 0;

		assert_int_equal(un.sun_family, AF_UNIX);
		assert_int_equal(len, NAME + 1 + strlen(names[i]));
		assert_int_equal(un.sun_path[0], 0);
		assert_memory_equal(un.sun_path + 1, names[i], strlen(names[i]));
		assert_int_equal(qs_control_address_id(&un, len, &id), 0);
		assert_true(id == 0xdeadbeef);

		for (socklen_t cut = 0; cut < len; cut++)
			assert_int_equal(qs_control_address_id(&un, cut, &id), -EINVAL);
		((char *)&un)[len] = '\0';
		assert_int_equal(qs_control_address_id(&un, len + 1, &id), -EINVAL);
		assert_int_equal(qs_control_address_id(&un, sizeof(un) + 1, &id), -EINVAL);
		for (size_t at = 0; at < len - NAME; at++) {
			struct sockaddr_un other = un;

			other.sun_path[at] ^= 0x40;
			assert_int_equal(qs_control_address_id(&other, len, &id), -EINVAL);
		}
		un.sun_family = AF_INET;
		assert_int_equal(qs_control_address_id(&un, len, &id), -EINVAL);
	}
}

static struct qs_addr addr_of(const char *text, uint16_t port, uint32_t scope)
{
	struct qs_addr addr = {.port = port, .scope_id = scope};

	addr.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(addr.family, text, addr.ip), 1);
	return addr;
}

static void assert_same_addr(const struct qs_addr *a, const struct qs_addr *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void addresses(void **state)
{
	struct qs_addr four = addr_of("192.0.2.7", 443, 0), six = addr_of("2001:db8::7", 443, 0);
	struct qs_addr local = addr_of("fe80::1", 1, 3),
		       mapped = addr_of("::ffff:192.0.2.7", 443, 0);
	struct qs_addr none = {0}, back;
	struct sockaddr_storage ss;
	struct sockaddr_in6 in6;
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(qs_addr_to_sockaddr(&four, AF_INET, &ss), sizeof(struct sockaddr_in));
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, 16), 0);
	assert_same_addr(&back, &four);
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, 15), -EAFNOSUPPORT);
	assert_int_equal(back.family, 0);

	assert_int_equal(qs_addr_to_sockaddr(&four, AF_INET6, &ss), sizeof(in6));
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, sizeof(in6)), 0);
	assert_same_addr(&back, &mapped);
	assert_int_equal(qs_addr_to_sockaddr(&mapped, AF_INET, &ss), sizeof(struct sockaddr_in));
	assert_non_null(
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, text, sizeof(text)));
	assert_string_equal(text, "192.0.2.7");
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_port, htons(443));

	assert_int_equal(qs_addr_to_sockaddr(&local, AF_INET6, &ss), sizeof(in6));
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_scope_id, 3);
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, 128), 0);
	assert_same_addr(&back, &local);
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, 24), 0);
	assert_int_equal(back.scope_id, 0);
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, 23), -EAFNOSUPPORT);

	/* Two connects that differ in a scope without meaning go to the same place. */
	memset(&in6, 0, sizeof(in6));
	in6.sin6_family = AF_INET6;
	in6.sin6_port = htons(443);
	in6.sin6_scope_id = 9;
	in6.sin6_flowinfo = 77;
	memcpy(&in6.sin6_addr, six.ip, 16);
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&in6, sizeof(in6)), 0);
	assert_same_addr(&back, &six);

	assert_int_equal(qs_addr_to_sockaddr(&six, AF_INET, &ss), 0);
	assert_int_equal(qs_addr_to_sockaddr(&four, AF_UNIX, &ss), 0);
	assert_int_equal(qs_addr_to_sockaddr(&none, AF_INET, &ss), 0);
	assert_int_equal(qs_addr_to_sockaddr(&none, AF_INET6, &ss), 0);
	assert_int_equal(qs_addr_from_sockaddr(&back, NULL, 0), -EAFNOSUPPORT);
	ss.ss_family = AF_UNIX;
	assert_int_equal(qs_addr_from_sockaddr(&back, (struct sockaddr *)&ss, sizeof(ss)),
			 -EAFNOSUPPORT);
}

static const struct qs_mark example_mark = {
	.state = QS_MARK_FAILED,
	.error = 111,
	.slot = 0x1234,
	.generation = 0xabcd,
	.v6 = true,
};

static void marks(void **state)
{
	static const uint32_t slots[] = {0, 1, 0x5555, QS_SLOTS_MAX - 1};
	struct qs_mark out;

	(void)state;
	for (unsigned i = 0; i < 4 * 4 * 2; i++) {
		struct qs_mark mark = {
			.state = (enum qs_mark_state)(1 + i % 4),
			.error = (uint8_t)(i * 37),
			.slot = slots[i / 4 % 4],
			.generation = (uint16_t)(i * 4099),
			.v6 = i / 16,
		};
		uint64_t value = qs_mark_encode(&mark);

		memset(&out, 0xff, sizeof(out));
		assert_true(qs_mark_decode(value, &out));
		assert_int_equal(out.state, mark.state);
		assert_int_equal(out.error, mark.error);
		assert_int_equal(out.slot, mark.slot);
		assert_int_equal(out.generation, mark.generation);
		assert_int_equal(out.v6, mark.v6);
	}
	/* The layout is frozen: sockets outlive an upgrade. */
	assert_true(qs_mark_encode(&example_mark) == UINT64_C(0x715376f01234abcd));
}

static void what_is_no_mark(void **state)
{
	const struct qs_mark mark = {.state = QS_MARK_OPEN, .slot = 7, .generation = 9};
	uint64_t value = qs_mark_encode(&mark);
	struct qs_mark out;

	(void)state;
	assert_false(qs_mark_decode(~UINT64_C(0), &out));
	assert_false(qs_mark_decode(0, &out));
	assert_false(qs_mark_decode(UINT32_MAX, &out));
	for (unsigned bit = 48; bit < 64; bit++)
		assert_false(qs_mark_decode(value ^ UINT64_C(1) << bit, &out));
	for (uint64_t wrong = 0; wrong < 8; wrong++)
		assert_int_equal(qs_mark_decode((value & ~(UINT64_C(7) << 45)) | wrong << 45, &out),
				 wrong >= QS_MARK_CONNECTING && wrong <= QS_MARK_LISTENER);
	/* A slot that the pages don't have. */
	assert_false(qs_mark_decode(value | (uint64_t)QS_SLOTS_MAX << 16, &out));
}

/* The kernel must keep the 64 bits, and give a default that is no mark. */
static void the_kernel_keeps_a_mark(void **state)
{
	const struct qs_mark mark = {.state = QS_MARK_FAILED, .error = 111, .slot = 5, .v6 = true};
	uint64_t value = 0, set = qs_mark_encode(&mark);
	socklen_t len = sizeof(value);
	struct qs_mark out;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, &len), 0);
	assert_false(qs_mark_decode(value, &out));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &set, sizeof(set)), 0);
	len = sizeof(value);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &value, &len), 0);
	assert_int_equal(len, sizeof(value));
	assert_true(value == set);
	close(fd);
}

static struct qs_record example_record(void)
{
	struct qs_record record = {
		.engine = 0xfedcba9876543210u,
		.slot = 65535,
		.generation = 0x1234,
		.local = addr_of("198.51.100.1", 5432, 0),
		.peer = addr_of("fe80::abcd", 65535, 4000000000u),
	};

	return record;
}

static void records(void **state)
{
	struct qs_record record = example_record(), out;
	const struct qs_addr addrs[] = {
		{0},
		addr_of("127.0.0.1", 0, 0),
		addr_of("255.255.255.255", 65535, 0),
		addr_of("::", 1, 0),
		addr_of("::ffff:10.0.0.1", 80, 0),
		addr_of("fe80::1", 80, 7),
	};

	(void)state;
	for (size_t i = 0; i < 36; i++) {
		struct sockaddr_un un;
		socklen_t len;
		uint64_t id = 0;

		record.local = addrs[i / 6];
		record.peer = addrs[i % 6];
		len = qs_record_encode(&record, &un);
		assert_in_range(len - NAME, 2, 108);
		assert_int_equal(un.sun_path[0], 0);
		assert_memory_equal(un.sun_path + 1, "quicshim/r/", 11);
		for (size_t at = 1; at < len - NAME; at++)
			assert_in_range(un.sun_path[at], 0x21, 0x7e);
		memset(&out, 0xff, sizeof(out));
		assert_int_equal(qs_record_decode(&un, len, &out), 0);
		assert_true(out.engine == record.engine);
		assert_int_equal(out.slot, record.slot);
		assert_int_equal(out.generation, record.generation);
		assert_same_addr(&out.local, &record.local);
		assert_same_addr(&out.peer, &record.peer);
		assert_int_equal(qs_control_address_id(&un, len, &id), 0);
		assert_true(id == record.engine);
	}
}

static void records_carry_no_litter(void **state)
{
	struct qs_record record = example_record();
	struct sockaddr_un clean, dirty;
	socklen_t len = qs_record_encode(&record, &clean);

	(void)state;
	memset(record.local.ip + 4, 0xaa, 12);
	record.local.scope_id = 5;
	memset(&dirty, 0xff, sizeof(dirty));
	assert_int_equal(qs_record_encode(&record, &dirty), len);
	assert_memory_equal(&clean, &dirty, len);
}

static void what_is_no_record(void **state)
{
	struct qs_record record = example_record(), out;
	struct sockaddr_un un = {0}, other;
	socklen_t len = qs_record_encode(&record, &un);
	static const char strange[] = "+/=. ~\x80";

	(void)state;
	for (socklen_t cut = 0; cut <= sizeof(un) + 8; cut++)
		assert_int_equal(qs_record_decode(&un, cut, &out), cut == len ? 0 : -EINVAL);
	for (size_t at = 0; at < len - NAME; at++) {
		for (size_t k = 0; k < sizeof(strange); k++) {
			other = un;
			if (other.sun_path[at] == strange[k])
				continue;
			other.sun_path[at] = strange[k];
			assert_int_equal(qs_record_decode(&other, len, &out), -EINVAL);
		}
	}
	/* Every other character is another record or none: nothing has two names. */
	for (size_t at = 12; at < len - NAME; at++) {
		for (char c = '0'; c <= 'z'; c++) {
			struct sockaddr_un again = {0};

			other = un;
			other.sun_path[at] = c;
			if (qs_record_decode(&other, len, &out) < 0)
				continue;
			assert_int_equal(qs_record_encode(&out, &again), len);
			assert_memory_equal(&again, &other, len);
		}
	}
	other = un;
	other.sun_family = AF_INET;
	assert_int_equal(qs_record_decode(&other, len, &out), -EINVAL);
	record.slot = QS_SLOTS_MAX;
	len = qs_record_encode(&record, &un);
	assert_int_equal(qs_record_decode(&un, len, &out), -EINVAL);
}

/* A record must be a name that the kernel takes and gives back as it is. */
static void the_kernel_keeps_a_record(void **state)
{
	struct qs_record record = example_record(), out;
	struct sockaddr_un un, got;
	socklen_t len, got_len = sizeof(got);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_true(fd >= 0);
	record.engine ^= (uint64_t)getpid() << 32;
	len = qs_record_encode(&record, &un);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&got, &got_len), 0);
	assert_int_equal(got_len, len);
	assert_int_equal(qs_record_decode(&got, got_len, &out), 0);
	assert_true(out.engine == record.engine);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),
		cmocka_unit_test(identity_has_one_form),
		cmocka_unit_test(tokens),
		cmocka_unit_test(channels),
		cmocka_unit_test(addresses),
		cmocka_unit_test(marks),
		cmocka_unit_test(what_is_no_mark),
		cmocka_unit_test(the_kernel_keeps_a_mark),
		cmocka_unit_test(records),
		cmocka_unit_test(records_carry_no_litter),
		cmocka_unit_test(what_is_no_record),
		cmocka_unit_test(the_kernel_keeps_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
