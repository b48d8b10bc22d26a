/* SPDX-License-Identifier: MIT */
/* The classic program by real datagrams: who gets what, what the kernel does when a socket leaves, without privilege. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants those four first */

#include "classic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 5
#define HOST 0xbeef
#define SHORT_LEN (1u + QS_CID_LEN)
#define LONG_LEN (7u + QS_CID_LEN)
#define ANY (-1)

static int members[N], sender, family;
static struct sockaddr_storage at;
static socklen_t at_len;
static struct qs_classic_map map;

static int member_open(void)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, at_len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &at_len), 0);
	return fd;
}

static int open_all(void **state)
{
	family = *state != NULL ? AF_INET6 : AF_INET;
	memset(&at, 0, sizeof(at));
	at.ss_family = (sa_family_t)family;
	if (family == AF_INET6) {
		((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
		at_len = sizeof(struct sockaddr_in6);
	} else {
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		at_len = sizeof(struct sockaddr_in);
	}
	sender = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(sender, (struct sockaddr *)&at, at_len) < 0) {
		close(sender);
		skip(); /* no IPv6 here */
	}
	for (int i = 0; i < N; i++)
		members[i] = member_open();
	/* Slots far apart, and none at its index. */
	qs_classic_map_init(&map, HOST);
	for (unsigned i = 0; i < N; i++)
		map.index[(N - 1 - i) * 60] = (uint16_t)i;
	assert_int_equal(qs_classic_attach(members[2], &map), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++)
		if (members[i] >= 0)
			close(members[i]);
	close(sender);
	return 0;
}

/* Which member got the datagram; loopback delivers it at once, or nearly. */
static int receiver(void)
{
	struct pollfd fds[N];
	uint8_t data[64];

	for (int i = 0; i < N; i++)
		fds[i] = (struct pollfd){.fd = members[i], .events = POLLIN};
	assert_true(poll(fds, N, 20000) > 0);
	for (int i = 0; i < N; i++) {
		if (fds[i].revents & POLLIN) {
			assert_true(recv(members[i], data, sizeof(data), 0) >= 0);
			return i;
		}
	}
	return ANY;
}

static int given(const uint8_t *data, size_t len)
{
	assert_int_equal(sendto(sender, data, len, 0, (struct sockaddr *)&at, at_len), len);
	return receiver();
}

static size_t datagram(uint8_t *out, bool is_long, uint16_t host, uint16_t slot)
{
	struct qs_cid_fields fields = {.config = 2, .host = host, .slot = slot, .generation = 7};
	size_t len = is_long ? LONG_LEN : SHORT_LEN;

	memset(out, 0, len);
	out[0] = is_long ? 0xc3 : 0x40;
	if (is_long) {
		out[4] = 1;
		out[5] = QS_CID_LEN;
	}
	qs_cid_encode(out + (is_long ? 6 : 1), &fields);
	return len;
}

static void ids_reach_their_slots(void **state)
{
	uint8_t data[LONG_LEN];

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < N; i++) {
			size_t len = datagram(data, round % 2, HOST, (uint16_t)((N - 1 - i) * 60));

			data[0] ^= round & 2 ? 0x40 : 0; /* the second bit says nothing */
			assert_int_equal(given(data, len), i);
		}
	}
}

/* What the program is to say of a datagram. */
static int expected(const uint8_t *data, size_t len)
{
	struct qs_cid_fields fields;
	struct qs_classic_probe probe;
	size_t id = data[0] & 0x80 ? 6 : 1;

	if (len < id + QS_CID_LEN + (id == 6))
		return ANY;
	if (id == 6 && data[5] != QS_CID_LEN)
		return ANY;
	if (id == 1 && qs_classic_probe_read(data + 1, QS_CID_LEN, &probe))
		return probe.index < N ? probe.index : ANY;
	if (qs_cid_decode(data + id, QS_CID_LEN, &fields) < 0 || fields.host != HOST ||
	    fields.slot >= QS_CLASSIC_SLOTS)
		return ANY;
	return map.index[fields.slot] < N ? map.index[fields.slot] : ANY;
}

/* Cut at each length, and with each bit turned over. */
static void all_else_reaches_somebody(void **state)
{
	uint8_t data[LONG_LEN];

	(void)state;
	for (int is_long = 0; is_long < 2; is_long++) {
		size_t len = datagram(data, is_long, HOST, 60);

		for (size_t cut = 1; cut <= len; cut++) {
			int to = given(data, cut), want = expected(data, cut);

			assert_true(to >= 0 && (want == ANY || want == to));
		}
		for (size_t bit = 0; bit < len * 8; bit++) {
			int to, want;

			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			to = given(data, len);
			want = expected(data, len);
			assert_true(to >= 0 && (want == ANY || want == to));
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

/* By the kernel's hash, not to index 0, which is also what a failed load returns. */
static void new_ones_are_spread(void **state)
{
	uint8_t data[LONG_LEN];
	unsigned got[N] = {0}, some = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct sockaddr_storage from = at;
		int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		((struct sockaddr_in *)&from)->sin_port = 0;
		assert_int_equal(bind(fd, (struct sockaddr *)&from, at_len), 0);
		datagram(data, true, HOST + 1, 60);
		sendto(fd, data, i % 2 ? 3 : LONG_LEN, 0, (struct sockaddr *)&at, at_len);
		got[receiver()]++;
		close(fd);
	}
	for (unsigned i = 0; i < N; i++)
		some += got[i] > 5;
	assert_int_equal(some, N); /* 40 each */
}

static void a_probe_reaches_its_index(void **state)
{
	uint8_t data[QS_CLASSIC_PROBE_LEN];
	struct qs_classic_probe probe = {.slot = 513, .nonce = 0x1234567890abcdef}, out;

	(void)state;
	for (uint16_t i = 0; i < N; i++) {
		probe.index = i;
		qs_classic_probe_write(data, &probe);
		assert_int_equal(given(data, sizeof(data)), i);
	}
	assert_true(qs_classic_probe_read(data + 1, QS_CID_LEN, &out));
	assert_true(out.index == N - 1 && out.slot == 513 && out.nonce == probe.nonce);
	assert_false(qs_classic_probe_read(data + 1, QS_CID_LEN - 1, &out));
	probe.index = N; /* no such: anybody */
	qs_classic_probe_write(data, &probe);
	assert_true(given(data, sizeof(data)) >= 0);
}

/* What ladder_classic.c believes of the kernel. */
static void the_last_takes_the_hole(void **state)
{
	uint8_t data[QS_CLASSIC_PROBE_LEN], packet[LONG_LEN];
	struct qs_classic_probe probe = {.index = 1};
	size_t len = datagram(packet, false, HOST, 0); /* the last one's slot */

	(void)state;
	close(members[1]);
	members[1] = -1;
	qs_classic_probe_write(data, &probe);
	assert_int_equal(given(data, sizeof(data)), N - 1);
	assert_true(given(packet, len) >= 0); /* its index is no more: anybody, who hands it over */
	map.index[0] = 1;
	assert_int_equal(qs_classic_attach(members[0], &map), 0);
	assert_int_equal(given(packet, len), N - 1);
	members[1] = member_open();
	probe.index = N - 1; /* who comes is the last */
	qs_classic_probe_write(data, &probe);
	assert_int_equal(given(data, sizeof(data)), 1);
	assert_int_equal(given(packet, len), N - 1);
}

static void all_slots_fit(void **state)
{
	(void)state;
	for (unsigned slot = 0; slot < QS_CLASSIC_SLOTS; slot++)
		map.index[slot] = (uint16_t)(slot % N);
	assert_int_equal(qs_classic_attach(members[0], &map), 0);
	for (unsigned slot = 0; slot < QS_CLASSIC_SLOTS; slot += 17) {
		uint8_t data[LONG_LEN];
		size_t len = datagram(data, slot % 2, HOST, (uint16_t)slot);

		assert_int_equal(given(data, len), slot % N);
	}
}

static void a_socket_without_group_is_refused(void **state)
{
	(void)state;
	assert_int_equal(qs_classic_attach(sender, &map), -EINVAL);
}

static void nobody_may_attach(void **state)
{
	int status = -1;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip(); /* then all of the above did */
	child = fork();
	if (child == 0)
		_exit(setuid(65534) == 0 && qs_classic_attach(members[0], &map) == 0 ? 0 : 1);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
#define IPV4(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)
#define IPV6(test)                                                                                 \
	{                                                                                          \
#test " IPv6", test, open_all, close_all, &family                                  \
	}
	const struct CMUnitTest tests[] = {
		IPV4(ids_reach_their_slots),
		IPV6(ids_reach_their_slots),
		IPV4(all_else_reaches_somebody),
		IPV6(all_else_reaches_somebody),
		IPV4(new_ones_are_spread),
		IPV4(a_probe_reaches_its_index),
		IPV6(a_probe_reaches_its_index),
		IPV4(the_last_takes_the_hole),
		IPV4(all_slots_fit),
		IPV4(a_socket_without_group_is_refused),
		IPV4(nobody_may_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
