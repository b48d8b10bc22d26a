/* SPDX-License-Identifier: MIT */
/* Steering by real datagrams: who gets what, by ID and by bucket, whatever is sent. */
#include "bpf/loader_parts.h"
#include "steer_kit.h"

#define N 4
#define FLOWS 40

static struct steer_group group;
static int client;

static int setup(void **state)
{
	const int *family = *state;

	kit_open(&group, *family, N);
	client = kit_client(*family, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(client);
	kit_close(&group);
	return 0;
}

static int send_cid(uint8_t (*form)(uint8_t *out, const uint8_t *cid, size_t *n), uint16_t host,
		    uint16_t slot, uint16_t generation)
{
	uint8_t data[100], cid[QS_CID_LEN];
	size_t n;

	kit_cid(cid, host, slot, generation);
	form(data, cid, &n);
	return kit_send(&group, client, data, n);
}

static uint8_t as_short(uint8_t *out, const uint8_t *cid, size_t *n)
{
	*n = kit_short(out, cid);
	return 0;
}

static uint8_t as_v1(uint8_t *out, const uint8_t *cid, size_t *n)
{
	*n = kit_long(out, 0xe0, V1, cid, QS_CID_LEN);
	return 0;
}

static uint8_t as_v2(uint8_t *out, const uint8_t *cid, size_t *n)
{
	*n = kit_long(out, 0xf0, V2, cid, QS_CID_LEN);
	return 0;
}

/* The second bit may be clear in any version (RFC 9287). */
static uint8_t as_greased(uint8_t *out, const uint8_t *cid, size_t *n)
{
	*n = kit_short(out, cid);
	out[0] = 0x01;
	return 0;
}

static uint8_t as_greased_v1(uint8_t *out, const uint8_t *cid, size_t *n)
{
	*n = kit_long(out, 0xa0, V1, cid, QS_CID_LEN);
	return 0;
}

static uint8_t as_unknown(uint8_t *out, const uint8_t *cid, size_t *n)
{
	*n = kit_long(out, 0x80, 0x1a2a3a4a, cid, QS_CID_LEN);
	return 0;
}

static uint8_t (*const forms[])(uint8_t *, const uint8_t *, size_t *) = {
	as_short, as_v1, as_v2, as_unknown, as_greased, as_greased_v1};
#define N_FORMS (sizeof(forms) / sizeof(*forms))
#define N_SHORT 2u /* of them */

/* Where this client's datagrams go that bear no ID of ours. */
static int home(void)
{
	uint8_t data[100];
	size_t n = kit_long(data, 0xc0, V1, "12345678", 8);

	return kit_send(&group, client, data, n);
}

static void expect(const struct qs_steer_counts *before, enum qs_steer_count count, uint64_t n)
{
	struct qs_steer_counts now = kit_counts(&group);

	assert_int_equal(now.n[count] - before->n[count], n);
}

static void by_id(void **state)
{
	struct qs_steer_counts before = kit_counts(&group);

	(void)state;
	for (size_t form = 0; form < N_FORMS; form++) {
		for (int i = 0; i < N; i++) {
			const struct qs_steer_member *id = &group.members[i].id;

			assert_int_equal(send_cid(forms[form], HOST, id->slot, id->generation), i);
		}
	}
	expect(&before, QS_STEER_STEERED, N_FORMS * N);
	expect(&before, QS_STEER_NEW, 0);
	expect(&before, QS_STEER_NOBODY, 0);
}

/* A datagram of 17 octets is a whole short header; one of 16 is not. */
static void shortest(void **state)
{
	const struct qs_steer_member *id;
	uint8_t data[100], cid[QS_CID_LEN];
	int bucket = home(), other = (bucket + 1) % N;

	(void)state;
	id = &group.members[other].id;
	kit_cid(cid, HOST, id->slot, id->generation);
	kit_short(data, cid);
	assert_int_equal(kit_send(&group, client, data, 1 + QS_CID_LEN), other);
	assert_int_equal(kit_send(&group, client, data, QS_CID_LEN), bucket);
	kit_long(data, 0xe0, V1, cid, QS_CID_LEN);
	assert_int_equal(kit_send(&group, client, data, 7 + QS_CID_LEN), other);
	assert_int_equal(kit_send(&group, client, data, 6 + QS_CID_LEN), bucket);
}

static void fresh(void **state)
{
	static const uint32_t versions[] = {V1, V2, 0x0a0a0a0a, 0xff00001d, 0xffffffff};
	struct qs_steer_counts before;
	uint8_t data[100], cid[40];
	int bucket = home();

	(void)state;
	before = kit_counts(&group);
	memset(cid, 0x77, sizeof(cid));
	for (size_t v = 0; v < sizeof(versions) / sizeof(*versions); v++) {
		for (uint8_t length = 0; length <= sizeof(cid); length++) {
			kit_long(data, 0xc0, versions[v], cid, length);
			assert_int_equal(kit_send(&group, client, data, sizeof(data)), bucket);
		}
	}
	expect(&before, QS_STEER_NEW, 5 * 41);
	expect(&before, QS_STEER_SCANNED, 0);
}

/* What differs in one thing from an ID of ours. */
static void nearly(void **state)
{
	int bucket = home(), other = (bucket + 1) % N;
	const struct qs_steer_member id = group.members[other].id;
	struct qs_steer_counts before = kit_counts(&group);
	uint8_t data[100], cid[QS_CID_LEN];

	(void)state;
	for (size_t form = 0; form < N_FORMS; form++) {
		assert_int_equal(send_cid(forms[form], HOST ^ 1, id.slot, id.generation), bucket);
		assert_int_equal(send_cid(forms[form], HOST ^ 0x100, id.slot, id.generation),
				 bucket);
	}
	expect(&before, QS_STEER_STRAY, 0);
	expect(&before, QS_STEER_UNKNOWN, 2 * N_SHORT);
	expect(&before, QS_STEER_NEW, 2 * (N_FORMS - N_SHORT));
	for (size_t form = 0; form < N_FORMS; form++) {
		assert_int_equal(send_cid(forms[form], HOST, id.slot, id.generation + 1), bucket);
		assert_int_equal(send_cid(forms[form], HOST, id.slot, id.generation - 1), bucket);
		assert_int_equal(send_cid(forms[form], HOST, id.slot ^ 0x100, id.generation),
				 bucket);
		assert_int_equal(send_cid(forms[form], HOST, 0xffff, id.generation), bucket);
		assert_int_equal(send_cid(forms[form], HOST, QS_STEER_SLOTS - 1, id.generation),
				 bucket);
	}
	expect(&before, QS_STEER_STRAY, 5 * N_FORMS);
	before = kit_counts(&group);
	for (unsigned first = 0; first < 256; first++) {
		bool ours = (first & 0x1f) == QS_CID_LEN - 1 && first >> 5 != 7;

		kit_cid(cid, HOST, id.slot, id.generation);
		cid[0] = (uint8_t)first;
		kit_short(data, cid);
		assert_int_equal(kit_send(&group, client, data, 40), ours ? other : bucket);
	}
	expect(&before, QS_STEER_STEERED, 7);
	expect(&before, QS_STEER_UNKNOWN, 249);
}

/* Truncated at every length, with every first octet, and of length 0. */
static void garbage(void **state)
{
	int bucket = home(), other = (bucket + 1) % N;
	const struct qs_steer_member id = group.members[other].id;
	struct qs_steer_counts before = kit_counts(&group);
	uint8_t data[100], cid[QS_CID_LEN];

	(void)state;
	kit_cid(cid, HOST, id.slot, id.generation);
	for (size_t n = 0; n < 7 + QS_CID_LEN; n++) {
		kit_long(data, 0xe0, V1, cid, QS_CID_LEN);
		assert_int_equal(kit_send(&group, client, data, n), bucket);
	}
	for (size_t n = 0; n < 1 + QS_CID_LEN; n++) {
		kit_short(data, cid);
		assert_int_equal(kit_send(&group, client, data, n), bucket);
	}
	expect(&before, QS_STEER_UNKNOWN, 7 + 2 * QS_CID_LEN + 1);
	/* Version negotiation, which no client sends. */
	before = kit_counts(&group);
	kit_long(data, 0xc0, 0, cid, QS_CID_LEN);
	assert_int_equal(kit_send(&group, client, data, sizeof(data)), bucket);
	/* An ID longer than the datagram. */
	kit_long(data, 0xc0, V1, cid, QS_CID_LEN);
	data[5] = 255;
	assert_int_equal(kit_send(&group, client, data, sizeof(data)), bucket);
	expect(&before, QS_STEER_UNKNOWN, 2);
	before = kit_counts(&group);
	srandom(1);
	for (unsigned i = 0; i < 2000; i++) {
		for (size_t k = 0; k < sizeof(data); k++)
			data[k] = (uint8_t)random();
		assert_int_equal(kit_send(&group, client, data, (size_t)random() % 100), bucket);
	}
	expect(&before, QS_STEER_STEERED, 0);
	expect(&before, QS_STEER_SCANNED, 0);
}

/* A large datagram, which lies in several pieces of memory. */
static void large(void **state)
{
	static uint8_t data[60000];
	uint8_t cid[QS_CID_LEN];

	(void)state;
	for (int i = 0; i < N; i++) {
		kit_cid(cid, HOST, group.members[i].id.slot, group.members[i].id.generation);
		kit_short(data, cid);
		assert_int_equal(kit_send(&group, client, data, sizeof(data)), i);
	}
}

/* It keeps its own, new flows go elsewhere; released, its own go elsewhere too. */
static void draining(void **state)
{
	int leaver = home();
	const struct qs_steer_member id = group.members[leaver].id;
	struct qs_steer_counts before;
	int heir;

	(void)state;
	assert_true(qs_steer_set(group.steer, &id, QS_STEER_DRAINING) > 0);
	for (unsigned i = 0; i < FLOWS; i++) {
		uint8_t data[100];
		int fd = kit_client(group.family, 0);

		kit_long(data, 0xc0, V1, "12345678", 8);
		assert_int_not_equal(kit_send(&group, fd, data, sizeof(data)), leaver);
		close(fd);
	}
	heir = home();
	assert_int_not_equal(heir, leaver);
	assert_int_equal(send_cid(as_short, HOST, id.slot, id.generation), leaver);
	assert_int_equal(send_cid(as_v1, HOST, id.slot, id.generation), leaver);
	before = kit_counts(&group);
	assert_int_equal(qs_steer_release(group.steer, &id), 0);
	assert_int_equal(send_cid(as_short, HOST, id.slot, id.generation), heir);
	assert_int_equal(send_cid(as_v1, HOST, id.slot, id.generation), heir);
	expect(&before, QS_STEER_STRAY, 2);
	expect(&before, QS_STEER_SCANNED, 0);
	assert_int_equal(qs_steer_set(group.steer, &id, QS_STEER_ACCEPTING), -ESTALE);
	assert_int_equal(qs_steer_release(group.steer, &id), -ESTALE);
}

/* The next owner of a slot doesn't get what was the last one's. */
static void next_generation(void **state)
{
	int bucket = home(), dead = (bucket + 1) % N;
	const struct qs_steer_member old = group.members[dead].id;

	(void)state;
	close(group.members[dead].fd);
	kit_join(&group, (unsigned)dead);
	assert_int_equal(group.members[dead].id.slot, old.slot);
	assert_int_equal(group.members[dead].id.generation, (uint16_t)(old.generation + 1));
	assert_int_equal(send_cid(as_short, HOST, old.slot, (uint16_t)(old.generation + 1)), dead);
	assert_int_equal(send_cid(as_short, HOST, old.slot, old.generation), bucket);
}

/* Nobody mended the table: the program finds somebody, for one flow always the same. */
static void killed(void **state)
{
	struct qs_steer_counts before = kit_counts(&group);
	int fds[FLOWS];

	(void)state;
	for (unsigned i = 0; i < FLOWS; i++)
		fds[i] = kit_client(group.family, 0);
	for (int left = N - 1; left > 0; left--) {
		uint8_t data[100];

		close(group.members[left].fd);
		group.members[left].fd = -1;
		kit_long(data, 0xc0, V1, "12345678", 8);
		for (unsigned i = 0; i < FLOWS; i++) {
			int to = kit_send(&group, fds[i], data, sizeof(data));

			assert_in_range(to, 0, left - 1);
			assert_int_equal(kit_send(&group, fds[i], data, sizeof(data)), to);
		}
	}
	/* The last one drains: better than nobody. */
	assert_int_equal(qs_steer_set(group.steer, &group.members[0].id, QS_STEER_DRAINING), 0);
	assert_int_equal(home(), 0);
	expect(&before, QS_STEER_NOBODY, 0);
	assert_true(kit_counts(&group).n[QS_STEER_SCANNED] > before.n[QS_STEER_SCANNED]);
	/* An accepting one beside it takes all that is new. */
	kit_join(&group, 1);
	for (unsigned i = 0; i < FLOWS; i++) {
		uint8_t data[100];

		kit_long(data, 0xc0, V1, "12345678", 8);
		assert_int_equal(kit_send(&group, fds[i], data, sizeof(data)), 1);
		close(fds[i]);
	}
}

/* Before the table is mended: the state counts at once, and the previous slot comes before others. */
static void unsettled(void **state)
{
	struct qs_steer_table *table = group.steer->table;
	int bucket = home(), heir = (bucket + 2) % N;
	const struct qs_steer_member *from = &group.members[bucket].id;
	const struct qs_steer_member *to = &group.members[heir].id;
	struct qs_steer_counts before = kit_counts(&group);

	(void)state;
	for (unsigned i = 0; i < QS_STEER_BUCKETS; i++)
		table->buckets[i] = qs_steer_bucket_word(from->slot, to->slot);
	assert_int_equal(home(), bucket);
	table->slots[from->slot].word = qs_steer_slot_word(QS_STEER_DRAINING, from->generation);
	assert_int_equal(home(), heir);
	expect(&before, QS_STEER_SCANNED, 1);
	table->slots[to->slot].word = qs_steer_slot_word(QS_STEER_DRAINING, to->generation);
	assert_int_equal((home() + N - bucket) % 2, 1);
	/* Free, though there is a socket: on its way in or out. */
	table->slots[from->slot].word = qs_steer_slot_word(QS_STEER_FREE, from->generation);
	assert_int_equal(send_cid(as_short, HOST, to->slot, to->generation), heir);
	assert_int_not_equal(send_cid(as_short, HOST, from->slot, from->generation), bucket);
	expect(&before, QS_STEER_STRAY, 1);
}

/* With no slot at all the kernel chooses among the sockets, and nothing is dropped. */
static void nobody(void **state)
{
	struct qs_steer_counts before;

	(void)state;
	for (int i = 0; i < N; i++)
		assert_true(qs_steer_release(group.steer, &group.members[i].id) >= 0);
	before = kit_counts(&group);
	assert_in_range(home(), 0, N - 1);
	expect(&before, QS_STEER_NOBODY, 1);
}

/* Any member may write into the table: still one member gets each datagram. */
static void hostile_table(void **state)
{
	struct qs_steer_table *table = group.steer->table;
	uint8_t data[100];

	(void)state;
	srandom(2);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < QS_STEER_SLOTS; i++)
			table->slots[i].word = (uint32_t)random() * 2;
		for (unsigned i = 0; i < QS_STEER_BUCKETS; i++)
			table->buckets[i] = (uint32_t)random() * 2;
		for (unsigned i = 0; i < N_FORMS; i++)
			assert_in_range(send_cid(forms[i], HOST, (uint16_t)random(), 1), 0, N - 1);
		kit_long(data, 0xc0, V1, "12345678", 8);
		assert_in_range(kit_send(&group, client, data, sizeof(data)), 0, N - 1);
		assert_true(qs_steer_settle(group.steer) >= 0);
	}
}

static void refused(void **state)
{
	const struct qs_steer_member *id = &group.members[0].id;
	const struct qs_steer_member far = {.slot = QS_STEER_SLOTS};
	struct qs_steer_member out;
	struct steer_group other = {.family = AF_INET};
	int plain = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;

	(void)state;
	assert_int_equal(qs_steer_set(group.steer, &far, QS_STEER_ACCEPTING), -EINVAL);
	assert_int_equal(qs_steer_release(group.steer, &far), -EINVAL);
	assert_int_equal(qs_steer_set(group.steer, id, QS_STEER_FREE), -EINVAL);
	assert_int_equal(qs_steer_set(group.steer, id, (enum qs_steer_state)77), -EINVAL);
	assert_int_equal(qs_steer_claim(group.steer, group.members[0].fd, &out), -EBUSY);
	assert_int_equal(qs_steer_claim(group.steer, plain, &out), -EINVAL);
	assert_int_equal(qs_steer_attach(group.steer, plain), -EDESTADDRREQ);
	assert_int_equal(setsockopt(plain, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(qs_steer_claim(group.steer, plain, &out), -EINVAL);
	assert_int_equal(qs_steer_attach(group.steer, tcp), -ENOTSUP);
	close(plain);
	plain = kit_client(AF_INET, 0);
	assert_int_equal(qs_steer_attach(group.steer, plain), -EINVAL);
	close(plain);
	close(tcp);
	/* A member of another group in our map takes nothing from ours. */
	other.members[0].fd = kit_socket(&other);
	assert_int_equal(qs_steer_claim(group.steer, other.members[0].fd, &out), 0);
	assert_in_range(send_cid(as_short, HOST, out.slot, out.generation), 0, N - 1);
	close(other.members[0].fd);
}

#define CASE(name, family)                                                                         \
	{                                                                                          \
#name " " #family, name, setup, teardown, &family                                  \
	}

int main(void)
{
	static int ipv4 = AF_INET, ipv6 = AF_INET6;
	char dir[] = "/tmp/test_steer.XXXXXX";
	const struct CMUnitTest tests[] = {
		CASE(by_id, ipv4),	     CASE(by_id, ipv6),		CASE(shortest, ipv4),
		CASE(fresh, ipv4),	     CASE(fresh, ipv6),		CASE(nearly, ipv4),
		CASE(garbage, ipv4),	     CASE(garbage, ipv6),	CASE(large, ipv4),
		CASE(large, ipv6),	     CASE(draining, ipv4),	CASE(draining, ipv6),
		CASE(next_generation, ipv4), CASE(killed, ipv4),	CASE(unsettled, ipv4),
		CASE(nobody, ipv4),	     CASE(hostile_table, ipv4), CASE(refused, ipv4),
	};
	int failed;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	/* Nothing is left in it: the mount ends with the namespace. */
	kit_enter(dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	umount(dir);
	rmdir(dir);
	return failed;
}
